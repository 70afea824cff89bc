"""Small corpora laid out exactly as they are published, with real recordings, for tests of their importers."""

import io
from pathlib import Path

import soundfile

from tests.recordings import Format, voice, write

SHORT_S = 0.3
M4A = Format("m4a", "mov", "aac", 16_000, "ffmpeg ipod aac")
COMMON_VOICE = [
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes", "age", "gender",
    "accents", "variant", "locale", "segment",
]  # fmt: skip


def record(path: Path, *, seed: int = 0) -> None:
    """A short recording in the format its suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".m4a":
        write(path, M4A, voice(SHORT_S, seed=seed))
        return
    kind = {".mp3": "MP3", ".flac": "FLAC"}.get(path.suffix, "WAV")
    stream = io.BytesIO()
    soundfile.write(stream, voice(SHORT_S, seed=seed), 16_000, format=kind)
    path.write_bytes(stream.getvalue())


def volunteer(number: int) -> str:
    """A client_id as Common Voice writes them: 128 characters."""
    return f"{number:016x}" + "ab" * 56


def write_tsv(path: Path, columns, rows) -> None:
    """A table as Common Voice publishes them: tabs, a header, quotes that mean nothing."""
    lines = ["\t".join(columns)] + ["\t".join(str(row.get(name, "")) for name in columns) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def common_voice(root: Path) -> Path:
    """`cv-corpus-17.0-2024-03-15` with Spanish and Chinese, five volunteers, one of whom speaks both."""
    root = root / "cv-corpus-17.0-2024-03-15"
    people = {
        0: {"gender": "male_masculine", "age": "twenties", "accents": "México"},
        1: {"gender": "female_feminine", "age": "fourties", "accents": "Andino-Pacífico: Colombia"},
        2: {"gender": "", "age": ""},
        3: {"gender": "do_not_wish_to_say", "age": "teens"},
        4: {"gender": "non-binary", "age": "sixties"},
    }
    for locale, numbers in (("es", (0, 1, 2, 3)), ("zh-CN", (3, 4))):
        rows = []
        for number in numbers:
            for take in range(2):
                name = f"common_voice_{locale}_{number}{take}.mp3"
                record(root / locale / "clips" / name, seed=number)
                rows.append(
                    {
                        "client_id": volunteer(number),
                        "path": name,
                        "sentence": 'Él dijo "hola',  # a quote that never closes
                        "up_votes": 2,
                        "down_votes": 0,
                        "locale": locale,
                        **people[number],
                    }
                )
        write_tsv(root / locale / "validated.tsv", COMMON_VOICE, rows[:-1])
        write_tsv(root / locale / "other.tsv", COMMON_VOICE, rows[-1:])
        for split, part in (("train", rows[:2]), ("dev", rows[2:3]), ("test", rows[3:3])):
            write_tsv(root / locale / f"{split}.tsv", COMMON_VOICE, part)
        write_tsv(root / locale / "invalidated.tsv", COMMON_VOICE, [])
        write_tsv(root / locale / "clip_durations.tsv", ["clip", "duration[ms]"], [])
    return root


def fleurs(root: Path) -> Path:
    """Latin American Spanish and Mandarin with two recordings in each of train, dev and test."""
    for language in ("es_419", "cmn_hans_cn"):
        for split in ("train", "dev", "test"):
            lines = []
            for number, gender in enumerate(("MALE", "FEMALE")):
                name = f"1{abs(hash_of(language, split)) % 10**15:015d}{number}.wav"
                record(root / language / "audio" / split / name, seed=number)
                lines.append(
                    "\t".join(
                        [str(1500 + number), name, 'Un "texto', "un texto", "u n | t e", "4800", gender]
                    )
                )
            (root / language / f"{split}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return root


def hash_of(*parts: str) -> int:
    """A number that is the same on every run."""
    return sum(ord(letter) * 257**place for place, letter in enumerate("".join(parts)))


def voxceleb1(root: Path) -> Path:
    """Six speakers, two of them of the test set, with the table of speakers and three lists of trials."""
    meta = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"]
    for number in range(6):
        speaker, part = f"id1027{number}", "test" if number < 2 else "dev"
        meta.append(f"{speaker}\tSome_Name\t{'mf'[number % 2]}\t{('Ireland', 'USA')[number % 2]}\t{part}")
        for video in ("5r0dWxy17C8", "-8jEAjG6SegY"):
            for utterance in range(2):
                record(root / part / "wav" / speaker / video / f"{utterance + 1:05d}.wav", seed=number)
    (root / "vox1_meta.csv").write_text("\n".join(meta) + "\n")
    pairs = [
        "1 id10270/5r0dWxy17C8/00001.wav id10270/-8jEAjG6SegY/00002.wav",
        "0 id10270/5r0dWxy17C8/00001.wav id10271/5r0dWxy17C8/00001.wav",
        "1 id10271/5r0dWxy17C8/00001.wav id10271/5r0dWxy17C8/00002.wav",
    ]
    gone = "0 id10270/5r0dWxy17C8/00001.wav id10999/5r0dWxy17C8/00001.wav"
    (root / "veri_test.txt").write_text("\r\n".join([*pairs, gone]) + " \r\n\n")
    (root / "veri_test2.txt").write_text("\n".join(pairs) + "\n")
    (root / "list_test_hard.txt").write_text(f"{gone}\nno trial\n")
    return root


def voxceleb2(root: Path) -> Path:
    """Three speakers as m4a, in the folders and with the padded table of VoxCeleb2."""
    meta = ["VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set "]
    for number, part in enumerate(("dev", "dev", "test")):
        speaker = f"id0001{number}"
        meta.append(f"{speaker} ,n00001{number} ,{'mf'[number % 2]} ,{part} ")
        for utterance in range(2):
            record(root / part / "aac" / speaker / "21Uxsk56VDQ" / f"{utterance + 1:05d}.m4a", seed=number)
    (root / "vox2_meta.csv").write_text("\n".join(meta) + "\n")
    return root


def musan(root: Path) -> Path:
    """Two recordings of music, two of speech, two of noise."""
    notes = {
        "music/fma": [
            "music-fma-0000 blues Y Cullah",
            "music-fma-0001 pop,electronica N Quiet_Music_for_Tiny_Robots",
        ],
        "speech/librivox": ["speech-librivox-0000 f german", "speech-librivox-0001 m english"],
        "noise/free-sound": [],
    }
    for place, lines in notes.items():
        folder = root / "musan" / place
        for number in range(2):
            record(folder / f"{place.replace('/', '-')}-{number:04d}.wav", seed=number)
        (folder / "LICENSE").write_text("CC BY\n")
        if lines:
            (folder / "ANNOTATIONS").write_text("\n".join(lines) + "\n")
    (root / "musan" / "README").write_text("MUSAN\n")
    return root / "musan"


def voxlingua(root: Path) -> Path:
    """Two languages, two videos each, one stretch also in dev; Hebrew under its old tag."""
    for language in ("es", "iw"):
        for video in ("0_1UMYu48m0", "-abcDEFghij"):
            for stretch in range(2):
                times = f"{stretch * 10:04d}.000-{stretch * 10 + 5:04d}.250"
                record(root / language / f"{video}__U__S{stretch}---{times}.wav", seed=stretch)
    record(root / "dev" / "es" / "ZZZZZZZZZZZ__U__S3---0001.000-0004.120.wav")
    return root


def librispeech(root: Path) -> Path:
    """A reader in each of train-clean-100, dev-other and test-clean, two chapters each."""
    root = root / "LibriSpeech"
    lines = ["; Some pieces of information", ";", ";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for subset, reader, sex in (
        ("train-clean-100", 19, "F"),
        ("dev-other", 700, "M"),
        ("test-clean", 61, "M"),
    ):
        name = "| CBW | Simon" if reader == 61 else "Kara Shallenberg"
        lines.append(f"{reader:<5}| {sex} | {subset:<16} | 25.19 | {name}")
        for chapter in (198, 227):
            for number in range(2):
                record(root / subset / str(reader) / str(chapter) / f"{reader}-{chapter}-{number:04d}.flac")
            (root / subset / str(reader) / str(chapter) / f"{reader}-{chapter}.trans.txt").write_text("A\n")
    (root / "SPEAKERS.TXT").write_text("\n".join(lines) + "\n")
    (root / "README.TXT").write_text("LibriSpeech\n")
    return root
