"""Clips through a network each in a thread of its own: what suits a CPU, where padding only costs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Float32, Int64
from torch import Tensor


def one_clip_a_thread(
    embed: Callable[[Tensor, Tensor], Tensor],
    waveforms: Float32[Tensor, "b t"],
    lengths: Int64[Tensor, " b"],
) -> Float32[Tensor, "b d"]:
    """What `embed` makes of each waveform alone, cut to its length: a core keeps one clip's frames in its caches, and
    waits for no other."""

    @torch.inference_mode()  # which is each thread's own
    def alone(waveform: Tensor, length: Tensor) -> Tensor:
        return embed(waveform[None, :length], length[None])

    n_threads = torch.get_num_threads()
    try:
        # a thread's own number of threads is also what threads begun later are given
        with ThreadPoolExecutor(
            n_threads, "embedder", initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            # the longest first, so that no thread is left with one of them at the end
            order = lengths.argsort(descending=True)
            found = torch.cat(list(pool.map(alone, waveforms[order], lengths[order])))
        return found[order.argsort()].clone()
    finally:
        torch.set_num_threads(n_threads)
