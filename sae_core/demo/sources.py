"""Where the demo's voices come from: Debian packages, and the people (or instruments) found in them.

Genders follow the package's credits or the character's role and were checked against the median pitch and a gender
probe on speaker embeddings; where the two disagree the gender is `unknown`. `person` joins voices that are, or may
be, one human being in several roles or languages, so that a split never separates them.
"""

from dataclasses import dataclass

LANGUAGES_OF_SPEECH = frozenset(
    {"be", "ca", "cs", "da", "de", "el", "en", "es", "fi", "fr", "it", "lt", "nl", "pl", "ru", "uk", "zh"}
)
GENDERS = frozenset({"female", "male", "unknown"})
KINDS = frozenset({"speech", "synthetic", "music"})
CHANNELS = frozenset({"telephone", "wideband"})


@dataclass(frozen=True)
class Package:
    """One Debian package.

    name: as `apt-get download` knows it.
    licence: SPDX expression of the recordings used.
    credit: who is to be named.
    upstream: where the package says it comes from.
    note: a notice the licence asks for, or empty.
    """

    name: str
    licence: str
    credit: str
    upstream: str
    note: str = ""


@dataclass(frozen=True)
class Voice:
    """One voice (or track of music) inside one package.

    speaker_id: the same for one person in several packages or languages.
    package: the Debian package that holds the files.
    pattern: regular expression, searched in file paths relative to the unpacked package.
    language: BCP-47 primary tag, None for music.
    gender: female, male or unknown; None for music.
    kind: speech or music.
    channel: telephone (8 kHz at the source) or wideband.
    cap: most clips taken from this voice.
    person: what a split keeps together; the speaker where empty.
    """

    speaker_id: str
    package: str
    pattern: str
    language: str | None
    gender: str | None
    kind: str = "speech"
    channel: str = "wideband"
    cap: int = 24
    person: str = ""

    def __post_init__(self) -> None:
        if (self.kind == "music") != (self.language is None):
            raise ValueError(f"{self.speaker_id}: music has no language, speech has one")
        if self.language is not None and self.language not in LANGUAGES_OF_SPEECH:
            raise ValueError(f"{self.speaker_id}: unknown language {self.language!r}")
        if self.kind not in KINDS or self.channel not in CHANNELS or self.cap < 1:
            raise ValueError(f"{self.speaker_id}: kind, channel or cap is not usable")
        if self.kind != "music" and self.gender not in GENDERS:
            raise ValueError(f"{self.speaker_id}: unknown gender {self.gender!r}")

    @property
    def split_unit(self) -> str:
        """What must stay in one split."""
        return self.person or self.speaker_id


_KDE = "https://invent.kde.org"
_ASTERISK = "http://downloads.asterisk.org/pub/telephony/sounds/"
_DRASCULA_NOTE = (
    "MODIFIED VERSION: single lines of dialogue were trimmed, joined, resampled and encoded as MP3; this is not the "
    "game. The readme and the licence that came with it are kept beside this file."
)
_ALCACHOFA = "Alcachofa Soft S.L. (1996-2008), for ScummVM"

PACKAGES: tuple[Package, ...] = (
    Package(
        "asterisk-core-sounds-en-wav",
        "CC-BY-SA-3.0",
        "Allison Smith (theivrvoice.com); Digium, Inc.",
        _ASTERISK,
    ),
    Package(
        "asterisk-core-sounds-es-wav",
        "CC-BY-SA-3.0",
        "Allison Smith (theivrvoice.com); Digium, Inc.",
        _ASTERISK,
    ),
    Package(
        "asterisk-core-sounds-fr-wav",
        "CC-BY-SA-3.0",
        "June Wallack (junewallack.com); Digium, Inc., Unlimitel, "
        "BGM Informatique; translation Clod Patry, Kristopher Lalletti, June Wallack",
        _ASTERISK,
    ),
    Package(
        "asterisk-core-sounds-it-wav",
        "CC-BY-3.0",
        "Carlo Flora (carloflora.com); translation Silvia Petrin",
        _ASTERISK,
    ),
    Package("asterisk-core-sounds-ru-wav", "CC-BY-3.0", "Maxim Topal (ivrvoice.ru)", _ASTERISK),
    Package(
        "asterisk-prompt-it-menardi-wav",
        "CC-BY-SA-3.0",
        "voice Paola Dal Zot; Marco Menardi",
        "http://www.voip.ammdomus.it",
    ),
    Package(
        "asterisk-prompt-es-co",
        "GPL-2.0-only",
        "voice July E. Jiménez; Avatar Ltda.",
        "http://www.avatar.com.co/",
    ),
    Package(
        "asterisk-prompt-fr-armelle",
        "BSD-2-Clause",
        "voice Armelle Desjardins; copyright Michel Gutierrez",
        "http://public.aclap.com/",
    ),
    Package(
        "asterisk-moh-opsound-wav",
        "CC-BY-SA-3.0",
        "Paul Shuler (Macroform), Manolo Camp, Reno Project",
        _ASTERISK,
    ),
    Package(
        "tuxpaint-stamps-default",
        "GPL-2.0-only",
        "Bill Kendrick and the Tux Paint translators",
        "https://tuxpaint.org",
    ),
    Package(
        "klettres-data",
        "GPL-2.0-or-later",
        "Anne-Marie Mahfouf and the KDE translators",
        f"{_KDE}/education/klettres",
    ),
    Package(
        "ktuberling-data",
        "GPL-2.0-or-later",
        "Albert Astals Cid, Éric Bischoff and the KDE translators",
        f"{_KDE}/games/ktuberling",
    ),
    Package("kajongg", "GPL-2.0-or-later", "Wolfgang Rohdewald and speakers", f"{_KDE}/games/kajongg"),
    Package(
        "qabcs-data",
        "GPL-3.0-or-later",
        "DanSoft (Alexander Danilov)",
        "https://bitbucket.org/admsasha/qabcs/",
    ),
    Package(
        "fillets-ng-data-cs",
        "GPL-2.0-only",
        "ALTAR interactive, Ivo and Pavel Danihelka",
        "http://fillets.sourceforge.net",
    ),
    Package(
        "fillets-ng-data-nl",
        "GPL-2.0-only",
        "ALTAR interactive and the Dutch translators",
        "http://fillets.sourceforge.net",
    ),
    Package(
        "hedgewars-data",
        "GPL-2.0-only AND GFDL-1.3-only",
        "Andrey Korotaev and the Hedgewars Project; music: "
        "HSR, HG, Jonatan Nilsson, Valentin Kraevskiy, John Dum, yd",
        "https://hedgewars.org/",
    ),
    Package("drascula", "LicenseRef-Drascula", _ALCACHOFA, "https://scummvm.org", _DRASCULA_NOTE),
    Package("drascula-spanish", "LicenseRef-Drascula", _ALCACHOFA, "https://scummvm.org", _DRASCULA_NOTE),
    Package("drascula-music", "LicenseRef-Drascula", _ALCACHOFA, "https://scummvm.org", _DRASCULA_NOTE),
    Package(
        "gcin-voice",
        "CC-BY-3.0 AND GPL-3.0-only",
        "Edward Der-Hua Liu; ChionMeilin with the voice of Chu Lo",
        "http://hyperrate.com/thread.php?tid=30325",
    ),
    Package(
        "codec2-examples", "LGPL-2.1-only", "David Rowe and radio amateurs", "https://rowetel.com/codec2.html"
    ),
    Package("asc-music", "GPL-2.0-or-later", "Michael Kievernagel", "http://www.asc-hq.org/"),
    Package("frozen-bubble-data", "GPL-2.0-only", "The Frozen-Bubble Team", "http://www.frozen-bubble.org"),
)

SYNTHESIS_PACKAGES: tuple[Package, ...] = (
    Package("flite", "LicenseRef-CMU-permissive", "Carnegie Mellon University", "http://cmuflite.org"),
    Package(
        "festival",
        "LicenseRef-Edinburgh-permissive",
        "CSTR, University of Edinburgh",
        "http://www.cstr.ed.ac.uk/projects/festival/",
    ),
    Package(
        "festlex-cmu",
        "LicenseRef-CMU-permissive",
        "Carnegie Mellon University",
        "http://www.speech.cs.cmu.edu",
    ),
    Package(
        "festlex-poslex",
        "LicenseRef-Edinburgh-permissive",
        "CSTR, University of Edinburgh",
        "http://www.cstr.ed.ac.uk/projects/festival/",
    ),
    Package("festival-czech", "GPL-2.0-or-later", "Brailcom", "https://devel.freebsoft.org/festival-czech"),
    Package(
        "festvox-kdlpc16k",
        "LicenseRef-Edinburgh-permissive",
        "CSTR, University of Edinburgh",
        "http://www.cstr.ed.ac.uk/projects/festival/",
    ),
    Package("festvox-italp16k", "GPL-2.0-or-later", "ISTC-CNR Padova", "http://www.pd.istc.cnr.it/"),
    Package("festvox-itapc16k", "GPL-2.0-or-later", "ISTC-CNR Padova", "http://www.pd.istc.cnr.it/"),
    Package("festvox-czech-dita", "GPL-3.0-or-later", "Brailcom", "https://devel.freebsoft.org/"),
    Package("festvox-czech-machac", "GPL-3.0-or-later", "Brailcom", "https://devel.freebsoft.org/"),
    Package("festvox-czech-ph", "GPL-2.0-or-later", "Brailcom", "https://devel.freebsoft.org/"),
    Package(
        "festvox-ru",
        "LicenseRef-Shmyrev-permissive",
        "N. S. Shmyrev and others",
        "http://festlang.berlios.de/",
    ),
    Package(
        "festvox-suopuhe-lj",
        "LGPL-2.0-or-later",
        "University of Helsinki, Suopuhe",
        "http://www.ling.helsinki.fi/suopuhe/",
    ),
    Package(
        "festvox-suopuhe-mv",
        "LGPL-2.0-or-later",
        "University of Helsinki, Suopuhe",
        "http://www.ling.helsinki.fi/suopuhe/",
    ),
    Package(
        "espeak-ng",
        "GPL-3.0-or-later",
        "Jonathan Duddington, Reece H. Dunn and others",
        "https://github.com/espeak-ng/espeak-ng",
    ),
)
