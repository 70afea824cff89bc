"""Work that takes seconds: done once for everyone, with a bar that shows how far it is.

What `cached` keeps may draw nothing while it is made, so what is cached is only the place for a result.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from threadpoolctl import threadpool_limits

from sae_core.files.progress import Progress

R = TypeVar("R")


class _OneCore:
    """While any work is under way, products of matrices stay on one core, so that other visitors keep theirs; small
    ones, as of probes, are several times faster so where cores are busy."""

    def __init__(self) -> None:
        self._lock, self._n, self._limits = threading.Lock(), 0, None

    def __enter__(self) -> None:
        with self._lock:
            if self._n == 0:
                self._limits = threadpool_limits(1)
            self._n += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n -= 1
            if self._n == 0 and self._limits is not None:
                self._limits.restore_original_limits()


_one_core = _OneCore()


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
                with _one_core:
                    self._made.append(work(follow))
