"""How long work reports how far it is: a call with counts, never a print."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called now and then by long work; the CLI draws a bar from it, a library user may ignore it."""

    def __call__(self, n_done: int, n_total: int, note: str = "") -> None:
        """`n_done` of `n_total` units are finished; `note` says what is going on."""


def ignore(n_done: int, n_total: int, note: str = "") -> None:
    """A `Progress` that says nothing."""


class Bar:
    """A tqdm bar that follows a `Progress`."""

    def __init__(self, title: str, *, is_shown: bool = True) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=title, unit="", dynamic_ncols=True, mininterval=0.2, disable=not is_shown)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, n_done: int, n_total: int, note: str = "") -> None:
        """Move the bar; a new total starts it over."""
        if n_total != self._bar.total or n_done < self._bar.n:
            self._bar.reset(total=n_total)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(n_done - self._bar.n)
