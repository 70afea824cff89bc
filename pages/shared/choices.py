"""One choice that stands in the address: drawn as a list or as buttons, kept for the visit, and open about addresses
that ask for what is not here."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from pages.shared import links
from pages.shared.wording import plain

MAX_COMPARED = 20_000


def choose_one(
    name: str,
    options: Mapping[str, str],
    *,
    usual: str,
    noun: str = "",
    draw: Callable[..., Any] = st.selectbox,
    **how: Any,
) -> str:
    """Draw the choice that the address calls `name` and return it: what the address asks for, else what was last chosen
    in this visit, else `usual`.

    options: value → words. noun: what a value is, to say so where the address asks for one that is not among them;
    without it such an address is passed over, because it is about another list. how: what `draw` takes besides.
    """
    wanted, key = links.chosen(name), f"{name}_choice"
    st.session_state[key] = wanted if wanted in options else usual
    given = how.pop("on_change", None)

    def take() -> None:
        links.choose(name, st.session_state[key])
        if given is not None:
            given()

    choice = str(
        draw(
            options=list(options),
            format_func=lambda value: options.get(value, value),
            key=key,
            on_change=take,
            **how,
        )
    )
    if wanted is None or wanted in options:
        links.choose(name, choice)
    elif noun:
        tell_unknown(
            name, wanted, noun=noun, shown=options.get(choice, choice), near=nearest(wanted, options)
        )
    return choice


def tell_unknown(
    name: str,
    wanted: str,
    *,
    noun: str,
    shown: str,
    near: Sequence[str] = (),
    on_choice: Callable[[str], None] | None = None,
) -> None:
    """Say that the address asks for something that is not here, what is shown in its place, and offer what is nearest.

    The address stays as it is until somebody chooses, and so does this notice.
    """
    take = on_choice or (lambda value: links.choose(name, value))
    with st.container(key=f"unknown_{name}"):
        st.warning(
            f"The address asks for {noun} **{plain(wanted)}**, which is not here. Shown instead: {plain(shown)}.",
            icon=":material/link_off:",
        )
        for value in near:
            st.button(f"Open {plain(value)}", key=f"near_{name}_{value}", on_click=take, args=(value,))


def tell_passed_over(asked: Mapping[str, list[str]]) -> None:
    """Say what the address asks for that no choice of the page has; it is passed over."""
    for name, values in links.asked_in_vain(asked).items():
        words = ", ".join(f"**{plain(value)}**" for value in values)
        st.toast(
            f"The address asks for {plain(name)} {words}, which is not here; it is passed over.",
            icon=":material/link_off:", duration="long",
        )  # fmt: skip


def nearest(wanted: str, options: Iterable[str], n: int = 2) -> list[str]:
    """The names most like `wanted`; none among too many to compare, or where none is like it."""
    names = [name for _, name in zip(range(MAX_COMPARED + 1), options, strict=False)]
    return [] if len(names) > MAX_COMPARED else difflib.get_close_matches(wanted, names, n)


def number_below(wanted: str | None, n: int) -> int | None:
    """The number that an address gives, if it is one from 0 to below `n`."""
    is_number = wanted is not None and wanted.isascii() and wanted.isdecimal() and len(wanted) <= len(str(n))
    return int(str(wanted)) if is_number and int(str(wanted)) < n else None


def nearest_latents(wanted: str, n: int) -> list[str]:
    """The latent nearest to a number that is too large: the last one; none for what is no number."""
    return [str(n - 1)] if n and wanted.isascii() and wanted.isdecimal() else []
