"""One training step of a TopK autoencoder against SAELens and sparsify, and what the same clips taught each of them."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers import Peer
from benchmarks.rows import Row, in_turns
from sae_core.demo.planted import plant
from sae_core.sae.model import SaeConfig, SparseAutoencoder
from sae_core.sae.quality import mean_and_std
from sae_core.sae.step import SaeFit, StepSettings

DIM, K, BATCH = 192, 32, 4096
N_CLIPS, N_HELD_OUT = 24 * BATCH, 2 * BATCH
LEARNING_RATE, AUX_COEFFICIENT = 1e-2, 1 / 32
"""Of rates from 0.0003 to 0.02 the one at which each of the three learns most from so few clips."""
DEAD_AFTER = 10 * BATCH
STEPS_A_TURN = 4
N_TURNS = {2048: 23, 8192: 11}
"""For each number of latents; one turn more warms up."""
N_AUX_TURNS = 5
PEERS = {"SAELens": ("sae_lens_steps", 4.0), "sparsify": ("sparsify_steps", 1.5)}


def measure(*, is_quick: bool) -> Iterator[Row]:
    """For each number of latents: the step beside each peer's and beside the product alone, then what was learnt."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        inputs, held_out = planted_inputs(N_CLIPS + N_HELD_OUT).split([N_CLIPS, N_HELD_OUT])
        np.save(folder / "inputs.npy", inputs.numpy())
        np.save(folder / "held_out.npy", held_out.numpy())
        for n_latents, n_turns in N_TURNS.items():
            yield from compare_steps(inputs, folder, n_latents, 2 if is_quick else n_turns)


def planted_inputs(n_clips: int) -> torch.Tensor:
    """Clips of planted truth, in random order, centred and scaled as in training."""
    vectors = plant(n_clips, dim=DIM)[1].vectors
    mean, spread = mean_and_std(vectors)
    order = np.random.default_rng(0).permutation(n_clips)
    return torch.from_numpy((vectors[order] - mean.astype(np.float32)) * np.float32(DIM**0.5 / spread))


def start(n_latents: int, k: int) -> SaeFit:
    """An autoencoder of ours with the settings that the peers get, too."""
    settings = StepSettings(LEARNING_RATE, 10**9, 0.0, 0.0, AUX_COEFFICIENT, DIM // 2, DEAD_AFTER)
    return SaeFit(SparseAutoencoder.untrained(SaeConfig(DIM, n_latents, k), np.zeros(DIM), 1.0), settings)


def settings_for_peers(n_latents: int, k: int) -> dict[str, float]:
    """The same settings under the names that the peers' scripts know."""
    return {
        "n_latents": n_latents,
        "k": k,
        "batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "aux_coefficient": AUX_COEFFICIENT,
        "dead_after_clips": DEAD_AFTER,
    }


def compare_steps(inputs: torch.Tensor, folder: Path, n_latents: int, n_turns: int) -> Iterator[Row]:
    """Train all three, a few steps each in turn, and look what they have learnt; then time steps where AuxK works."""
    fit, done, n_dead = start(n_latents, K), dict.fromkeys([*PEERS, "ours"], 0), 0
    batches = inputs.split(BATCH)
    weight, bias = fit.sae.W_enc.detach().clone(), fit.sae.b_enc.detach().clone()
    with Peer("sae_lens_steps") as sae_lens, Peer("sparsify_steps") as sparsify:
        peers = {"SAELens": sae_lens, "sparsify": sparsify}
        for peer in peers.values():
            peer.call("start", inputs=str(folder / "inputs.npy"), settings=settings_for_peers(n_latents, K))

        def take_steps() -> None:
            for step in range(done["ours"], done["ours"] + STEPS_A_TURN):
                fit.last_fired[:n_dead] = fit.n_seen - 2 * DEAD_AFTER
                fit.step(batches[step % len(batches)])
            done["ours"] += STEPS_A_TURN

        def steps_of(name: str) -> float:
            first, done[name] = done[name], done[name] + STEPS_A_TURN
            return float(peers[name].call("take_steps", first=first, n=STEPS_A_TURN, n_dead=n_dead).value)

        def multiply(weight: torch.Tensor, bias: torch.Tensor) -> None:
            for batch in batches[:STEPS_A_TURN]:
                torch.nn.functional.linear(batch.to_mkldnn() if weight.is_mkldnn else batch, weight, bias)

        runs: dict[str, Callable[[], float | None]] = {
            "ours": take_steps,
            "product": lambda: multiply(weight, bias),
            "oneDNN": lambda: multiply(weight.to_mkldnn(), bias.to_mkldnn()),
        }
        runs |= {name: partial(steps_of, name) for name in peers}
        free_s = in_turns({name: runs[name] for name in done}, n_turns)
        n_steps, held_out = done["ours"], str(folder / "held_out.npy")
        learnt = {name: peer.call("report", held_out=held_out).value for name, peer in peers.items()}
        learnt["ours"] = report(fit, torch.from_numpy(np.load(held_out)))
        n_dead = n_latents // 8
        took_s = in_turns(runs, min(n_turns, N_AUX_TURNS))
    yield from rows_of(
        n_latents, *({who: s / STEPS_A_TURN for who, s in part.items()} for part in (took_s, free_s))
    )
    yield row_of_learning(n_latents, learnt, n_steps)


def report(fit: SaeFit, held_out: torch.Tensor) -> dict[str, float]:
    """The fraction of held-out variance unexplained, and the share of dead latents."""
    vectors = held_out.numpy()
    residual = vectors - fit.sae.decode(fit.sae.encode(vectors))
    variance = float(np.square(vectors - vectors.mean(axis=0)).sum())
    return {
        "fvu": float(np.square(residual).sum()) / variance,
        "dead_fraction": float(fit.is_dead.float().mean()),
    }


def rows_of(n_latents: int, took: dict[str, float], free: dict[str, float]) -> Iterator[Row]:
    """Clips a second against each peer, and how the step compares with the product alone."""
    name = f"TopK training step, L {n_latents}"
    ours_ms = 1e3 * took["ours"]
    for who, (_, target) in PEERS.items():
        yield Row(
            name,
            who,
            took[who] / took["ours"],
            target,
            f"{BATCH / took['ours']:,.0f} clips/s, {who} {BATCH / took[who]:,.0f}: {ours_ms:.0f} and "
            f"{1e3 * took[who]:.0f} ms for {BATCH} clips, k {K}, d {DIM}, an eighth of the latents dead so that AuxK "
            f"works; in training as it comes {free[who] / free['ours']:.1f} ×",
        )
    yield Row(
        name,
        "the encoder's product alone",
        took["ours"] / took["product"],
        2.5,
        f"F.linear takes {1e3 * took['product']:.0f} ms; with oneDNN's product {1e3 * took['oneDNN']:.0f} ms, of which "
        f"the step takes {took['ours'] / took['oneDNN']:.2f} ×",
        is_limit=True,
    )


def row_of_learning(n_latents: int, learnt: dict[str, dict[str, float]], n_steps: int) -> Row:
    """The held-out FVU beside the better peer's."""
    best = min(PEERS, key=lambda who: learnt[who]["fvu"])
    return Row(
        f"held-out FVU after {n_steps * BATCH:,} clips, L {n_latents}",
        f"{best}, the better peer",
        learnt["ours"]["fvu"] / learnt[best]["fvu"],
        1,
        ", ".join(
            f"{who} {part['fvu']:.4f} ({part['dead_fraction']:.0%} dead)" for who, part in learnt.items()
        )
        + f"; Adam, rate {LEARNING_RATE}, same clips in the same order",
        is_limit=True,
    )
