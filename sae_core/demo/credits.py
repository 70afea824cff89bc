"""Who made the demo's recordings, under which licences, and which labels are in doubt: CREDITS.md and licenses/."""

import shutil
from pathlib import Path

import pandas as pd

from sae_core.demo.packages import version_of
from sae_core.demo.sources import PACKAGES, SYNTHESIS_PACKAGES, Package

COMMON_LICENCES = Path("/usr/share/common-licenses")
HIGHEST_MALE_HZ = 185.0
LOWEST_FEMALE_HZ = 165.0

_LICENCE_FILES = {
    "GPL-2.0": "GPL-2", "GPL-3.0": "GPL-3", "LGPL-2.0": "LGPL-2", "LGPL-2.1": "LGPL-2.1", "GFDL-1.3": "GFDL-1.3",
}  # fmt: skip
_LICENCE_LINKS = {
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
}
_OPENING = """# Where the demo's recordings come from

Every recording was taken from a package of the Debian archive and **changed**: silence trimmed, short files of one
voice joined with 0.1 s of silence, long ones cut, levelled, resampled to 8 or 16 kHz and encoded as MP3. Each stays
under the licence of its source, named below, and not under VoxScope's; the packages' own copyright files lie in
`licenses/`.
`python -m sae_core demo build` makes all of it again from the packages.
"""


def write_credits(
    folder: Path, table: pd.DataFrame, pitches: dict[str, float | None], *, cache: Path
) -> None:
    """Write CREDITS.md and licenses/ below `folder` for the sources that `table` has clips of."""
    used = set(table["source"])
    packages = [package for package in (*PACKAGES, *SYNTHESIS_PACKAGES) if package.name in used]
    licences = folder / "licenses"
    shutil.rmtree(licences, ignore_errors=True)
    licences.mkdir(parents=True)
    for package in packages:
        _keep_papers(package, cache / "unpacked" / package.name, licences)
    sections = [_section(package, table, version_of(package.name, cache=cache)) for package in packages]
    text = "\n".join([_OPENING, *sections, _doubts(table, pitches)])
    (folder / "CREDITS.md").write_text(text, encoding="utf-8")


def _keep_papers(package: Package, unpacked: Path, licences: Path) -> None:
    """Keep the package's copyright file, a readme that its licence asks for, and the full text of common licences."""
    papers = unpacked / "usr/share/doc" / package.name
    for name in ("copyright", "readme.txt"):
        if (papers / name).is_file() and (name == "copyright" or package.note):
            shutil.copyfile(papers / name, licences / f"{package.name}.{name.split('.')[0]}.txt")
    for spdx, name in _LICENCE_FILES.items():
        source, target = COMMON_LICENCES / name, licences / f"{name}.txt"
        if spdx in package.licence and source.is_file() and not target.exists():
            shutil.copyfile(source, target)


def _section(package: Package, table: pd.DataFrame, version: str) -> str:
    clips = table[table["source"] == package.name]
    speakers = ", ".join(sorted(set(clips["speaker_id"])))
    links = "".join(f" ({link})" for name, link in _LICENCE_LINKS.items() if name in package.licence)
    lines = [
        f"## {package.name} {version}",
        "",
        f"- Credit: {package.credit}",
        f"- Licence: {package.licence}{links}; see `licenses/{package.name}.copyright.txt`",
        f"- From: {package.upstream}",
        f"- Used: {len(clips)} clips, {clips['duration_s'].sum() / 60:.1f} minutes; voices or tracks: {speakers}",
    ]
    return "\n".join([*lines, *([f"- {package.note}"] if package.note else []), ""])


def _doubts(table: pd.DataFrame, pitches: dict[str, float | None]) -> str:
    """The voices whose gender is unknown or at odds with their median pitch."""
    lines = [
        "## Labels in doubt",
        "",
        "Voices whose gender is unknown, or whose median pitch is unusual for it:",
        "",
    ]
    voices = table.dropna(subset=["language"]).drop_duplicates(["speaker_id", "language"])
    for row in voices.itertuples():
        pitch = pitches.get(f"{row.speaker_id} {row.language}")
        if row.gender == "unknown" or not agrees(row.gender, pitch):
            said = "no pitch found" if pitch is None else f"median pitch {pitch:.0f} Hz"
            lines.append(f"- {row.speaker_id} ({row.language}): {row.gender}, {said}")
    return "\n".join([*lines, ""])


def agrees(gender: str, pitch_hz: float | None) -> bool:
    """Whether a median pitch is usual for a gender; True where it is not known."""
    if pitch_hz is None:
        return True
    return pitch_hz <= HIGHEST_MALE_HZ if gender == "male" else pitch_hz >= LOWEST_FEMALE_HZ
