"""How long work reports how far it is: a call with counts, never a print."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called now and then by long work; the CLI draws a bar from it, a library user may ignore it."""

    def __call__(self, n_done: int, n_total: int, note: str = "") -> None:
        """`n_done` of `n_total` units are finished; `note` says what is going on."""


def ignore(n_done: int, n_total: int, note: str = "") -> None:
    """A `Progress` that says nothing."""
