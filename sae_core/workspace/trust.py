"""What says whether latents can be trusted, kept beside an SAE: stability over seeds, groups of latents."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sae_core.files.artifacts import ArtifactMeta, fingerprint, read_table, write_table
from sae_core.files.contents import Kind, numbers, text, whole_numbers
from sae_core.files.errors import ArtifactError
from sae_core.measures.groups import LatentGroup
from sae_core.measures.stability import STABILITY_COLUMNS
from sae_core.sae.config import read_config

if TYPE_CHECKING:
    from sae_core.workspace.workspace import Workspace

STABILITY_TABLE, STABILITY_META = "stability.parquet", "stability.json"
STORED_AS = "stored_as"
GROUP_TABLES, GROUP_META = ("groups.parquet", "group_latents.parquet"), "groups.json"
GROUP_MEASURES = (
    "selection_f1",
    *(f"{name}{end}" for name in ("precision", "recall", "f1") for end in ("", "_low", "_high")),
    "auroc",
)


@dataclass(frozen=True)
class Groups:
    """The groups of latents of each attribute value.

    table: a row for each value and size: attribute, value, evidence, n_latents, threshold, n_splits, `GROUP_MEASURES`.
    latents: a row for each latent of each group: attribute, value, n_latents, place, latent, weight.
    """

    table: pd.DataFrame
    latents: pd.DataFrame

    def group(self, attribute: str, value: str, n_latents: int) -> LatentGroup:
        """One group; ValueError where there is none of this size."""
        line, members = (
            table[
                (table["attribute"] == attribute)
                & (table["value"] == value)
                & (table["n_latents"] == n_latents)
            ]
            for table in (self.table, self.latents)
        )
        if line.empty:
            raise ValueError(f"there is no group of {n_latents} latents for {attribute} = {value}")
        members = members.sort_values("place")
        threshold = float(line["threshold"].iloc[0])
        return LatentGroup(members["latent"].to_numpy(), members["weight"].to_numpy(), threshold)

    def save(self, folder: Path, parents: Mapping[str, str]) -> None:
        """Write them into an SAE's folder, their meta last."""
        for name, table in zip(GROUP_TABLES, (self.table, self.latents), strict=True):
            write_table(folder / name, table)
        ArtifactMeta("groups", fingerprint(dict(parents), list(GROUP_MEASURES)), dict(parents)).write(
            folder / GROUP_META, files=GROUP_TABLES
        )

    @classmethod
    def load(cls, folder: Path, parents: Mapping[str, str], *, n_latents: int) -> "Groups | None":
        """Return what is kept in an SAE's folder; None where there is nothing, it is damaged, or it is of another
        index."""
        named = dict.fromkeys(("attribute", "value"), text()) | {"n_latents": whole_numbers(1, n_latents)}
        measured = dict.fromkeys(("threshold", *GROUP_MEASURES), numbers(may_lack=True))
        kinds = (
            named | {"evidence": text(), "n_splits": whole_numbers(1)} | measured,
            named
            | {"place": whole_numbers(), "latent": whole_numbers(0, n_latents - 1), "weight": numbers()},
        )
        try:
            meta = ArtifactMeta.read(folder / GROUP_META, kind="groups", remedy="")
            if meta.parents != dict(parents):
                return None
            meta.check_files(folder, remedy="")
            tables = [
                read_table(folder / name, columns=kind)
                for name, kind in zip(GROUP_TABLES, kinds, strict=True)
            ]
        except ArtifactError:
            return None
        return cls(*tables)


@dataclass(frozen=True)
class Stability:
    """How the latents of an SAE come back in the other seeds.

    table: one row a latent: `STABILITY_COLUMNS`. pw_mcc: of this SAE with the others, the mean cosine of one-to-one
    pairs of decoder directions (arXiv 2505.20254). peers: names of the SAEs that it was compared with.
    """

    table: pd.DataFrame
    pw_mcc: float
    peers: tuple[str, ...]

    def save(self, folder: Path, parents: Mapping[str, str]) -> None:
        """Write it into an SAE's folder, its meta last; parents: name → fingerprint, as `stability_parents`
        returns them."""
        write_table(folder / STABILITY_TABLE, self.table)
        settings = {"pw_mcc": self.pw_mcc, "peers": list(self.peers)}
        mark = fingerprint(dict(parents), settings)
        ArtifactMeta("stability", mark, dict(parents), settings).write(
            folder / STABILITY_META, files=(STABILITY_TABLE,)
        )

    @classmethod
    def load(cls, folder: Path, parents: Mapping[str, str], *, n_latents: int) -> "Stability | None":
        """Return what is kept in an SAE's folder; None where there is nothing, it is damaged, or it was made from
        other SAEs than these parents."""
        try:
            meta = ArtifactMeta.read(folder / STABILITY_META, kind="stability", remedy="")
            if meta.parents != dict(parents):
                return None
            meta.check_files(folder, remedy="")
            table = read_table(folder / STABILITY_TABLE, columns=_kinds(n_latents))
        except ArtifactError:
            return None
        if len(table) != n_latents:
            return None
        peers = tuple(str(name) for name in meta.settings.get("peers", ()))
        return cls(table, float(meta.settings["pw_mcc"]), peers)


def _kinds(n_latents: int) -> dict[str, Kind]:
    whole = dict.fromkeys(("n_found", "n_seeds"), whole_numbers())
    kinds = {name: numbers(-1.001, 1.001) for name in STABILITY_COLUMNS} | whole
    return kinds | {"latent": whole_numbers(0, n_latents - 1)}


def seed_family(workspace: "Workspace", name: str) -> list[str]:
    """The indexed SAEs that differ from this one in nothing but the seed, itself left out.

    In which precision an SAE is stored does not matter. Only SAEs of the family are opened.
    """

    def training_of(each: str) -> dict[str, object] | None:
        return workspace.kept("training of", lambda: _training_of(workspace, each), of=each)

    family = []
    for other in workspace.sae_names():
        if other == name or training_of(other) != training_of(name):
            continue
        try:
            view = workspace.sae(other)
        except ArtifactError:
            continue
        if view.config["seed"] != workspace.sae(name).config["seed"]:
            family.append(other)
    return family


def _training_of(workspace: "Workspace", name: str) -> dict[str, object] | None:
    """What an SAE was trained on and how, but for its seed, read without opening it; None where its folder does not
    say."""
    folder = workspace.path / "saes" / name
    try:
        meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy="")
        config = read_config(folder, remedy="").to_json()
    except ArtifactError:
        return None
    training = meta.settings.get("training")
    ways = (
        {key: value for key, value in training.items() if key != STORED_AS}
        if isinstance(training, dict)
        else None
    )
    return {"embedder": meta.settings.get("embedder"), "training": ways, **config, "seed": None}


def stability_parents(workspace: "Workspace", name: str, peers: list[str]) -> dict[str, str]:
    """The fingerprints that the stability of an SAE is made from."""
    embeddings, splits = workspace.sae(name).embeddings.fingerprint, workspace.corpus.split_fingerprint
    weights = {each: workspace.sae(each).weights_fingerprint for each in (name, *peers)}
    return {"embeddings": embeddings, "splits": splits, **weights}
