"""Work that takes seconds: done once for everyone, with a bar that shows how far it is.

What `cached` keeps may draw nothing while it is made, so what is cached is only the place for a result.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sae_core.files.progress import Progress

R = TypeVar("R")


class Result(Generic[R]):
    """A place for what long work returns: whoever asks first does the work, others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: list[R] = []

    @property
    def is_made(self) -> bool:
        """Whether the work is done."""
        return bool(self._made)

    def get(self, work: Callable[[Progress], R], *, words: str) -> R:
        """What `work` returned; while it is done for the first time a bar says `words` and how far it is.

        Work that fails, or whose visitor has left, is done anew for the next who asks.
        """
        if not self._made:
            place = st.empty()
            try:
                self._make(work, place.progress(0.0, text=words), words)
            except Exception:
                place.empty()
                raise
            place.empty()
        return self._made[0]

    def _make(self, work: Callable[[Progress], R], bar: DeltaGenerator, words: str) -> None:
        def follow(n_done: int, n_total: int, note: str = "") -> None:
            bar.progress(min(1.0, n_done / max(n_total, 1)), text=f"{words} · {note}" if note else words)

        with self._lock:
            if not self._made:
                self._made.append(work(follow))
