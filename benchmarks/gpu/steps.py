"""The training step at many sizes and in three precisions, beside torch's dense one and sparsify's, and what the
precisions cost in what is learnt."""

from collections.abc import Iterator

import torch

from benchmarks.gpu.clips import DIM, K, declare_dead, new_fit, random_inputs
from benchmarks.gpu.dense_step import DenseStep
from benchmarks.gpu.device import PRECISIONS, Bench, Limits, Run, measure_limits, precision
from benchmarks.gpu.sparsify_step import SparsifyStep, find_coder
from benchmarks.rows import Row
from benchmarks.training import planted_inputs
from sae_core.sae.model import SaeConfig
from sae_core.sae.step import SaeFit

N_LATENTS, BATCHES = (2048, 8192, 32_768), (4096, 16_384, 65_536)
QUICK_LATENTS, QUICK_BATCHES = (256,), (256,)
GOAL = 1.5
MOST_FVU_GAP_PERCENT = 0.5


def measure(bench: Bench) -> Iterator[Row]:
    """What the device can do at most, what is learnt in each precision, then every size."""
    limits = measure_limits(bench)
    rates = ", ".join(f"{name} {rate / 1e12:.1f}" for name, rate in limits.operations_s.items())
    detail = f"read and written by a large copy; a large matrix product, TFLOP/s: {rates}"
    yield Row("memory bandwidth", "", limits.bytes_s / 1e9, None, detail, unit="GB/s")
    n_clips, batch = bench.pick(200_000, 1000), bench.pick(4096, 256)
    clips = planted_inputs(n_clips + 8 * batch).split([n_clips, 8 * batch])
    for n_latents in QUICK_LATENTS if bench.is_quick else N_LATENTS[:2]:
        yield from compare_precisions(bench, n_latents, *clips)
    for n_latents in QUICK_LATENTS if bench.is_quick else N_LATENTS:
        for batch in QUICK_BATCHES if bench.is_quick else BATCHES:
            for name in PRECISIONS:
                yield compare(bench, limits, (n_latents, batch), name)


def compare(bench: Bench, limits: Limits, size: tuple[int, int], name: str) -> Row:
    """One step of ours, an eighth of the latents dead so that AuxK works, against the better of the peers."""
    n_latents, n_clips = size
    n_dead = n_latents // 8
    with precision(name) as dtype:
        fit = new_fit(SaeConfig(DIM, n_latents, K), bench.device, dtype)
        batch = random_inputs(n_clips, bench.device)
        ours_s = seconds(bench, lambda: step_with_dead(fit, batch, n_dead))
        dense = DenseStep(fit, n_dead)
        peers = {"torch, dense": seconds_or_none(bench, lambda: dense.step(batch, dtype))}
        module, why_not = find_coder() if dtype == torch.bfloat16 else (None, "")
        if module is not None:
            sparsify = SparsifyStep(module, n_latents, n_dead, bench.device)
            peers["sparsify"] = seconds_or_none(bench, lambda: sparsify.step(batch))
    took = {peer: s for peer, s in peers.items() if s is not None}
    figures = [f"{1e3 * ours_s:.2f} ms"]
    figures += [f"{peer} " + (f"{1e3 * s:.2f} ms" if s else "does not fit") for peer, s in peers.items()]
    figures += [f"sparsify {why_not}"] if why_not else []
    detail = f"{n_clips / ours_s:,.0f} clips/s; {', '.join(figures)}; {reached(limits, size, name, ours_s)}"
    best = min(took, key=lambda peer: took[peer]) if took else "torch, dense"
    ratio = took[best] / ours_s if took else float("inf")
    return Row(
        f"step, L {n_latents}, {n_clips:,} clips, {name}",
        best,
        ratio,
        None if bench.is_quick else GOAL,
        detail,
    )


def step_with_dead(fit: SaeFit, batch: torch.Tensor, n_dead: int) -> None:
    """One step in which the first latents count as dead."""
    declare_dead(fit, n_dead)
    fit.step(batch)


def seconds(bench: Bench, run: Run) -> float:
    """Median seconds of a step, over turns of several steps."""
    return bench.median_s(run, n_turns=bench.pick(5, 1), n_a_turn=bench.pick(4, 1))


def seconds_or_none(bench: Bench, run: Run) -> float | None:
    """The same, None where the device has not the memory for it."""
    try:
        return seconds(bench, run)
    except torch.OutOfMemoryError:
        return None
    finally:
        if bench.is_gpu:
            torch.cuda.empty_cache()


def reached(limits: Limits, size: tuple[int, int], name: str, took_s: float) -> str:
    """Which fraction of the device's own limits a step reaches, counting what no step of this kind can leave out.

    The encoder's product is computed once for a batch and once more for the quarter in which AuxK looks; its scores are
    written and read, unless a kernel chooses while it multiplies.
    """
    n_latents, n_clips = size
    scores = 1.25 * n_clips * n_latents
    n_bytes = scores * 2 * (2 if name == "bfloat16" else 4)
    by_product = 2 * DIM * scores / limits.operations_s[name] / took_s
    return f"{by_product:.0%} of the matrix rate, {n_bytes / limits.bytes_s / took_s:.0%} of the bandwidth"


def compare_precisions(
    bench: Bench, n_latents: int, inputs: torch.Tensor, held_out: torch.Tensor
) -> Iterator[Row]:
    """Train on the same planted clips in each precision; the held-out FVU beside float32's."""
    batches, vectors = inputs.to(bench.device).split(len(held_out) // 8)[:-1], held_out.numpy()
    fvu = {}
    for name in PRECISIONS:
        with precision(name) as dtype:
            fit = new_fit(SaeConfig(DIM, n_latents, K), bench.device, dtype)
            for step in range(bench.pick(500, 4)):
                fit.step(batches[step % len(batches)])
        residual = vectors - fit.sae.decode(fit.sae.encode(vectors))
        fvu[name] = float((residual**2).sum() / ((vectors - vectors.mean(0)) ** 2).sum())
    for name in PRECISIONS[1:]:
        gap_percent = 100 * (fvu[name] / fvu["float32"] - 1)
        detail = f"FVU {fvu[name]:.4f}, in float32 {fvu['float32']:.4f}; encoded in float32"
        what = f"held-out FVU trained in {name}, L {n_latents}"
        yield Row(what, "float32", gap_percent, MOST_FVU_GAP_PERCENT, detail, unit="%", is_limit=True)
