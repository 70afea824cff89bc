"""AS-norm of a million trials against a cohort of a thousand, beside the loop that published recipes run."""

from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Row, in_turns
from sae_core.measures.score_norm import N_NEAREST, as_norm, cohort_statistics
from sae_core.measures.verification import Trials, cosine_scores

DIM, N_COHORT, LIMIT_S = 192, 1_000, 10
N_LOOPED = 400


def measure(*, is_quick: bool) -> Iterator[Row]:
    """Everything from embeddings to normalised scores."""
    n_clips, n_trials = (5_000, 50_000) if is_quick else (100_000, 1_000_000)
    rng = np.random.default_rng(0)
    vectors, cohort = (rng.standard_normal((n, DIM), dtype=np.float32) for n in (n_clips, N_COHORT))
    pairs = rng.integers(n_clips, size=(2, n_trials))
    trials = Trials(pairs[0], pairs[1], np.arange(n_trials) % 2 == 0)
    found = {}

    def ours() -> None:
        found["ours"] = as_norm(cosine_scores(vectors, trials), trials, cohort_statistics(vectors, cohort))

    def clip_by_clip() -> None:
        unit, others = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (vectors, cohort))
        for row in range(N_LOOPED):
            nearest = np.sort(unit[row] @ others.T)[::-1][:N_NEAREST]
            found["mean"] = nearest.mean(), nearest.std()

    took = in_turns({"ours": ours, "loop": clip_by_clip}, 2)
    name = f"AS-norm of {n_trials:,} trials of {n_clips:,} clips, cohort {N_COHORT:,}"
    yield Row(name, f"{LIMIT_S} s", took["ours"], LIMIT_S, "cosines included", unit="s", is_limit=True)
    loop_s = took["loop"] * n_clips / N_LOOPED
    detail = (
        f"the loop would take {loop_s:.1f} s for its statistics alone (extrapolated from {N_LOOPED} clips)"
    )
    yield Row(name, "a sort a clip, as in published recipes", loop_s / took["ours"], 1, detail)
