"""Do imported and exported SAEs give the activations of SAELens, sparsify and dictionary_learning?

    python -m benchmarks.foreign_saes

Each library saves autoencoders with random weights; VoxScope reads the files, and both encode and decode the demo's
embeddings. The other way round, VoxScope exports its own (two of the demo's, and the imported ones) and the libraries
load them. Printed is the largest difference of an activation over all clips and latents, and of a reconstruction as a
fraction of its largest number; exit status 1 where one is above 0.00001. Where an activation is within that of the
point at which it is cut off (its threshold, or the k-th strongest), either side may have it: such cases are counted.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers import Peer
from sae_core.sae.config import THRESHOLD_VARIANTS
from sae_core.sae.foreign import read_foreign
from sae_core.sae.foreign_export import write_foreign
from sae_core.sae.model import SparseAutoencoder

DEMO = Path(__file__).resolve().parent.parent / "assets" / "demo"
SIZES = {"dim": 256, "n_latents": 512, "k": 16, "widths": [32, 128, 512]}
TOLERANCE = 1e-5
LIBRARIES = {
    "SAELens": (
        "standard",
        "topk",
        "topk, rescale_acts_by_decoder_norm",
        "topk, constant_norm_rescale",
        "topk, layer_norm",
        "jumprelu",
        "jumprelu, b_dec not taken off",
        "batchtopk",
        "matryoshka_batchtopk",
    ),
    "sparsify": ("topk",),
    "dictionary_learning": (
        "AutoEncoder",
        "AutoEncoderNew",
        "AutoEncoderTopK",
        "BatchTopKSAE",
        "MatryoshkaBatchTopKSAE",
        "JumpReluAutoEncoder",
    ),
}
OURS = ("ge2e-topk-256-k16", "ge2e-matryoshka-256-k16")


@dataclass(frozen=True)
class Difference:
    """The largest differences between two autoencoders on the same clips.

    n_one_sided: activations that only one of them has. beyond_cut: how far the farthest of these is above its cut-off.
    """

    name: str
    activations: float
    rebuilt: float
    n_one_sided: int
    beyond_cut: float

    @property
    def is_small(self) -> bool:
        """Whether both agree."""
        return max(self.activations, self.rebuilt, self.beyond_cut) <= TOLERANCE


def main() -> None:
    """Print one line a variant and direction."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{'variant':58} {'activations':>12} {'rebuilt':>10}  only one side")
        for one in compare(Path(scratch)):
            found.append(one)
            mark = "" if one.is_small else "  TOO LARGE"
            print(
                f"{one.name:58} {one.activations:12.1e} {one.rebuilt:10.1e}  {one.n_one_sided}{mark}",
                flush=True,
            )
    if not all(one.is_small for one in found):
        sys.exit(1)


def compare(scratch: Path) -> Iterator[Difference]:
    """Every variant imported, then exported."""
    vectors = np.load(DEMO / "embeddings" / "ge2e" / "vectors.npy")
    clips = np.ascontiguousarray(vectors[vectors.any(axis=1)], np.float32)
    np.save(scratch / "clips.npy", clips)
    ours = {f"VoxScope's {name}": SparseAutoencoder.load(DEMO / "saes" / name) for name in OURS}
    with Peer("foreign_encode") as peer:
        for library, variants in LIBRARIES.items():
            for variant in variants:
                kind, folder = f"{library}: {variant}", scratch / f"{library} {variant}"
                files = {
                    "folder": str(folder),
                    "inputs": str(scratch / "clips.npy"),
                    "out": str(scratch / "out.npz"),
                }
                peer.call("make", kind=kind, sizes=SIZES, **files)
                ours[kind] = read_foreign(folder).fit(clips)
                yield difference(f"imported from {kind}", ours[kind], clips, scratch / "out.npz")
        for number, (name, sae) in enumerate(ours.items()):
            for library, layout in (("SAELens", "saelens"), ("sparsify", "sparsify")):
                if layout == "sparsify" and (
                    sae.config.variant not in ("topk", "matryoshka") or sae.config.input_norm != "none"
                ):
                    continue
                folder = write_foreign(sae, layout, scratch / f"out-{layout}-{number}", notes={})  # type: ignore[arg-type]
                files = {
                    "folder": str(folder),
                    "inputs": str(scratch / "clips.npy"),
                    "out": str(scratch / "out.npz"),
                }
                peer.call("encode", library=library, **files)
                yield difference(f"{name} → {library}", sae, clips, scratch / "out.npz")


def difference(name: str, sae: SparseAutoencoder, clips: np.ndarray, theirs: Path) -> Difference:
    """Compare our activations and reconstructions with those in a file."""
    found = np.load(theirs)
    codes = sae.encode(clips)
    mine = codes.dense()
    one_sided = (mine > 0) != (found["activations"] > 0)
    apart = np.abs(mine - found["activations"])
    if sae.config.variant in THRESHOLD_VARIANTS:
        cut = np.zeros(1) if sae.config.variant == "relu" else sae.threshold.clamp(min=0).numpy()
    else:
        cut = codes.activations[:, -1:]
    beyond = np.where(one_sided, np.maximum(mine, found["activations"]) - cut, 0)
    rows = ~one_sided.any(axis=1)
    rebuilt = np.abs(sae.decode(codes, inputs=clips) - found["rebuilt"])[rows].max()
    return Difference(
        name,
        float(apart[~one_sided].max()),
        float(rebuilt / np.abs(found["rebuilt"]).max()),
        int(one_sided.sum()),
        float(beyond.max()),
    )


if __name__ == "__main__":
    main()
