"""What a step's time is made of: each of its operations alone, other ways to do them, and how busy the card is."""

from collections.abc import Iterator

import torch

from benchmarks.gpu.clips import DIM, K, declare_dead, new_fit, random_inputs
from benchmarks.gpu.device import Bench, Run
from benchmarks.gpu.steps import step_with_dead
from benchmarks.rows import Row
from sae_core.sae.model import SaeConfig
from sae_core.sae.topk import (
    SCORES_AT_ONCE,
    Slots,
    slot_products,
    strongest_products,
    sum_by_latent,
    top_k,
    weighted_rows,
)


def measure(bench: Bench) -> Iterator[Row]:
    """Operations of one step at a middling and at the largest size, then the profile of whole steps."""
    for n_latents, n_clips in ((8192, 16_384), (32_768, 65_536)) if not bench.is_quick else ((256, 128),):
        yield from operations(bench, n_latents, n_clips)
    for n_latents, n_clips in ((2048, 4096), (8192, 65_536)) if not bench.is_quick else ((256, 128),):
        yield profile(bench, n_latents, n_clips)


def operations(bench: Bench, n_latents: int, n_clips: int) -> Iterator[Row]:
    """Milliseconds of each operation; those said to be other ways are not what the step does."""
    fit, batch = new_fit(SaeConfig(DIM, n_latents, K), bench.device), random_inputs(n_clips, bench.device)
    weight, bias = fit.sae.W_enc.detach(), fit.sae.b_enc.detach()
    values, latents = strongest_products(batch, weight, bias, K)
    slots, flat = Slots.of(latents), values.flatten()
    n_rows = min(n_clips, max(1, SCORES_AT_ONCE // n_latents))
    scores = torch.addmm(bias, batch[:n_rows], weight.T)
    runs: dict[str, Run] = {
        f"product of {n_rows:,} clips": lambda: torch.addmm(bias, batch[:n_rows], weight.T),
        f"choice among {n_rows:,} rows of scores": lambda: top_k(scores, K),
        f"other way: torch's topk of {n_rows:,} rows": lambda: scores.topk(K, dim=1),
        "decoding": lambda: weighted_rows(weight, latents, values),
        "sorting slots by latent": lambda: slots.latents.int().sort(stable=True),
        "gradient of a matrix, sorting included": lambda: sum_by_latent(batch, slots, flat, n_latents),
        "other way: the same by scattered addition": lambda: scattered(batch, latents, values, n_latents),
        "gradient of activations": lambda: slot_products(batch, weight, slots),
        "other way: the same by gathering rows": lambda: gathered(batch, weight, latents),
        "Adam and norms": fit._update,
    }
    step_with_dead(fit, batch, n_latents // 8)
    for what, run in runs.items():
        try:
            took_s = bench.median_s(run, n_turns=bench.pick(9, 1))
        except torch.OutOfMemoryError:
            continue
        detail = f"L {n_latents}, {n_clips:,} clips, k {K}, d {DIM}"
        yield Row(f"of a step: {what}", "", 1e3 * took_s, None, detail, unit="ms")


def scattered(
    rows: torch.Tensor, latents: torch.Tensor, values: torch.Tensor, n_latents: int
) -> torch.Tensor:
    """`sum_by_latent` by atomic additions, one slot of all rows after another."""
    sums = rows.new_zeros(n_latents, rows.shape[1])
    for slot in range(latents.shape[1]):
        sums.index_add_(0, latents[:, slot], rows * values[:, slot, None])
    return sums


def gathered(rows: torch.Tensor, weight: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """`slot_products` by reading each latent's weights into fresh memory, 8 slots at a time."""
    parts = [torch.einsum("bd,bkd->bk", rows, weight[part]) for part in latents.split(8, dim=1)]
    return torch.cat(parts, dim=1)


def profile(bench: Bench, n_latents: int, n_clips: int) -> Row:
    """The fraction of a step in which the card computes; the longest kernels go to a file."""
    fit, batch = new_fit(SaeConfig(DIM, n_latents, K), bench.device), random_inputs(n_clips, bench.device)
    n_steps, n_dead = bench.pick(20, 2), n_latents // 8
    declare_dead(fit, n_dead)
    step_s = bench.median_s(lambda: step_with_dead(fit, batch, n_dead), n_turns=3, n_a_turn=n_steps)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if bench.is_gpu else []
    with torch.profiler.profile(activities=kinds) as found:
        for _ in range(n_steps):
            step_with_dead(fit, batch, n_dead)
        bench.wait()
    averages, order = found.key_averages(), "device" if bench.is_gpu else "cpu"
    kind = torch.autograd.DeviceType.CUDA if bench.is_gpu else torch.autograd.DeviceType.CPU
    # operators of the processor are listed with the time of their kernels, which stand in the list themselves
    own = [event for event in averages if event.device_type == kind]
    busy_s = sum(getattr(event, f"self_{order}_time_total") for event in own) / 1e6 / n_steps
    longest = sorted(own, key=lambda event: getattr(event, f"self_{order}_time_total"), reverse=True)[:5]
    if bench.out is not None:
        text = averages.table(sort_by=f"self_{order}_time_total", row_limit=40, max_name_column_width=80)
        (bench.out / f"profile-{n_latents}-{n_clips}.txt").write_text(text, encoding="utf-8")
    names = "; ".join(
        f"{event.key[:60]} {getattr(event, f'self_{order}_time_total') / 1e3 / n_steps:.2f} ms"
        for event in longest
    )
    detail = f"{1e3 * step_s:.2f} ms a step, kernels {1e3 * busy_s:.2f} ms, the longest: {names}"
    what = f"card busy in a step, L {n_latents}, {n_clips:,} clips"
    return Row(what, "", 100 * busy_s / step_s, None, detail, unit="%")
