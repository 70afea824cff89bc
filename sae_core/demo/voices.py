"""The table of recorded voices and tracks that the demo draws on; see `sources.Voice` for the columns."""

from sae_core.demo.sources import Voice

_SOUND = r"\.(ogg|wav|opus|mp3|gsm)$"
_NOT_SPEECH = (
    r"(?!.*/silence/)(?!.*/(beep|beeperr|tt-monkeys|ascending-2tone|descending-2tone|phonetic|letters)\b)"
)


def _prompts(speaker_id: str, package: str, language: str, gender: str = "female") -> Voice:
    """A telephone voice; the packages name the speaker's gender in a folder, such as it_IT_m_Carlo."""
    return Voice(
        speaker_id,
        package,
        rf"^{_NOT_SPEECH}.*/sounds/.*{_SOUND}",
        language,
        gender,
        channel="telephone",
        cap=44,
    )


def _stamps(
    language: str, gender: str, *, folders: str = r"(?!animals/|symbols/alphabets/)", cap: int = 36
) -> Voice:
    """Spoken captions of drawings; those of animals and letters often have another reader than the rest."""
    return Voice(
        f"tuxpaint-{language}",
        "tuxpaint-stamps-default",
        rf"/stamps/{folders}.*_desc_{language}{_SOUND}",
        language,
        gender,
        cap=cap,
    )


def _letters(locale: str, gender: str, *, tag: str = "", cap: int = 22) -> Voice:
    """A language tutor's letters and syllables."""
    return Voice(
        f"klettres-{locale}",
        "klettres-data",
        rf"/klettres/{locale}/(alpha|syllab)/[^/]+{_SOUND}",
        tag or locale,
        gender,
        cap=cap,
    )


def _dressing_game(locale: str, gender: str, *, names: str = "", part: str = "") -> Voice:
    """A dressing-up game's words; where two people read a locale, `names` tells the files of one of them."""
    speaker_id = f"ktuberling-{locale}" + (f"-{part}" if part else "")
    return Voice(
        speaker_id, "ktuberling-data", rf"/sounds/{locale}/{names}[^/]*{_SOUND}", locale, gender, cap=24
    )


def _alphabet(locale: str, gender: str, *, speaker_id: str = "", person: str = "") -> Voice:
    """A children's alphabet: letters and words by one reader."""
    return Voice(
        speaker_id or f"qabcs-{locale}",
        "qabcs-data",
        rf"/abcs/{locale}/sounds/.*{_SOUND}",
        locale,
        gender,
        cap=22,
        person=person,
    )


def _mahjongg(speaker_id: str, folder: str, language: str, gender: str) -> Voice:
    """Calls of a board game; three of its speakers are heard in English and in German."""
    return Voice(speaker_id, "kajongg", rf"/voices/{folder}/[^/]+{_SOUND}", language, gender, cap=16)


def _hedgehogs(folder: str, language: str) -> Voice:
    """A pack of falsetto game voices: neither gender nor actor can be told apart, so all packs share a split."""
    return Voice(
        f"hedgewars-{folder.lower()}",
        "hedgewars-data",
        rf"/Sounds/voices/{folder}/[^/]+{_SOUND}",
        language,
        "unknown",
        cap=12,
        person="hedgewars",
    )


def _drama(dub: str, role: str, gender: str, *, person: str, cap: int = 24) -> Voice:
    """A role of a dubbed adventure game; similar voices of a dub may be one actor and share `person`."""
    package = {"en": "drascula", "es": "drascula-spanish"}[dub]
    letters = {"hacker": "", "braun": "VB", "igor": "I", "girl": "BJ", "innkeeper": "T"}.get(
        role, role.upper()
    )
    return Voice(
        f"drascula-{dub}-{role}",
        package,
        rf"/drascula/{dub}/{letters}\d+\.ALS$",
        dub,
        gender,
        cap=cap,
        person=f"drascula-{dub}-{person}",
    )


def _track(package: str, name: str, *, composer: str, channel: str = "wideband") -> Voice:
    """One track of music; tracks of one composer share a split."""
    title = name.rpartition("/")[2].removeprefix(f"{composer}-").lower()
    return Voice(
        f"music-{composer}-{title}",
        package,
        rf"/{name}\.(ogg|mp3|wav)$",
        None,
        None,
        kind="music",
        channel=channel,
        cap=12,
        person=f"music-by-{composer}",
    )


TELEPHONE_VOICES = (
    _prompts("allison-smith", "asterisk-core-sounds-en-wav", "en"),
    _prompts("allison-smith", "asterisk-core-sounds-es-wav", "es"),
    _prompts("june-wallack", "asterisk-core-sounds-fr-wav", "fr"),
    _prompts("carlo-flora", "asterisk-core-sounds-it-wav", "it", "male"),
    _prompts("topal-studio-ru", "asterisk-core-sounds-ru-wav", "ru"),
    _prompts("paola-dal-zot", "asterisk-prompt-it-menardi-wav", "it"),
    _prompts("july-jimenez", "asterisk-prompt-es-co", "es"),
    _prompts("armelle-desjardins", "asterisk-prompt-fr-armelle", "fr"),
    Voice(
        "codec2-ve9qrp", "codec2-examples", r"/wav/ve9qrp\.wav$", "en", "male", channel="telephone", cap=30
    ),
)

TUTOR_VOICES = (
    _stamps("es", "female", cap=50),
    _stamps("fr", "male"),
    _stamps("ru", "male"),
    _stamps("ca", "male"),
    _stamps("el", "female"),
    _stamps("be", "female"),
    _stamps("da", "male"),
    _stamps("nl", "male", folders=""),
    _stamps("lt", "male", folders=""),
    _letters("es", "female", cap=30),
    _letters("en", "male"),
    _letters("en_GB", "female", tag="en"),
    _letters("fr", "male"),
    _letters("it", "female"),
    _letters("ru", "female"),
    _letters("uk", "female"),
    _letters("cs", "female"),
    _letters("da", "male"),
    _letters("nl", "female"),
    _letters("lt", "male"),
    _dressing_game("en", "unknown", names="(?!tv_)"),
    _dressing_game("de", "male"),
    _dressing_game("fr", "unknown", names="(egypte|lune|noel|papillons)_"),
    _dressing_game("uk", "female", names="(egypt|moon|pizzeria|xmas|tv)_"),
    _dressing_game("lt", "unknown"),
    _dressing_game("el", "female"),
    _dressing_game("ru", "female", names="(tux-|tv_|xmas_|[a-z]+-tux)", part="a"),
    _dressing_game("ru", "male", names="(egypt|moon|pizzeria)_", part="b"),
    _dressing_game("da", "female", names="(tux-|xmas_|[a-z]+-tux)", part="a"),
    _dressing_game("da", "male", names="(egypt|moon|pizza)_", part="b"),
    _dressing_game("ca", "female", names="(butterflies|egypt|moon|patata)_", part="a"),
    _dressing_game(
        "ca", "male", names="(pizzeria_|say-|[A-Z][a-z]+-Tux|candles|flask|letter|note)", part="b"
    ),
    _alphabet("en", "male"),
    _alphabet("de", "male"),
    _alphabet("fr", "female", person="qabcs-east"),
    _alphabet("pl", "female"),
    _alphabet("uk", "female", person="qabcs-east"),
    _alphabet("ru", "female", speaker_id="qabcs-ru-be", person="qabcs-east"),
    _alphabet("be", "female", speaker_id="qabcs-ru-be", person="qabcs-east"),
    Voice("gcin-liu", "gcin-voice", r"/3\.ogg$", "zh", "unknown", cap=20),
    Voice("gcin-chu-lo", "gcin-voice", r"/5\.ogg$", "zh", "female", cap=20),
)

GAME_VOICES = (
    _mahjongg("kajongg-male1", "male1", "en", "male"),
    _mahjongg("kajongg-male1", "de/male1", "de", "male"),
    _mahjongg("kajongg-male2", "de/male2", "de", "male"),
    _mahjongg("kajongg-female1", "female1", "en", "female"),
    _mahjongg("kajongg-female1", "de/female1", "de", "female"),
    _mahjongg("kajongg-female2", "female2", "en", "female"),
    _mahjongg("kajongg-female2", "de/female2", "de", "female"),
    Voice("fillets-cs-small", "fillets-ng-data-cs", r"/cs/[^/]+-m-[^/]+\.ogg$", "cs", "female", cap=40),
    Voice("fillets-cs-big", "fillets-ng-data-cs", r"/cs/[^/]+-v-[^/]+\.ogg$", "cs", "male", cap=40),
    Voice("fillets-nl-small", "fillets-ng-data-nl", r"/nl/[^/]+-m-[^/]+\.ogg$", "nl", "female", cap=40),
    Voice("fillets-nl-big", "fillets-ng-data-nl", r"/nl/[^/]+-v-[^/]+\.ogg$", "nl", "male", cap=40),
    *(_hedgehogs(pack, "en") for pack in ("British", "HillBilly", "Pirate", "Russian")),
    _hedgehogs("Default_es", "es"),
    _hedgehogs("Default_ru", "ru"),
    _hedgehogs("Default_uk", "uk"),
    _hedgehogs("Default_pl", "pl"),
    _hedgehogs("Russian_pl", "pl"),
    _drama("en", "hacker", "unknown", person="a", cap=36),
    _drama("en", "braun", "male", person="a"),
    _drama("en", "igor", "male", person="a"),
    _drama("en", "b", "male", person="a"),
    _drama("en", "p", "male", person="a"),
    _drama("en", "innkeeper", "male", person="b"),
    _drama("en", "l", "male", person="b"),
    _drama("en", "girl", "female", person="c"),
    _drama("en", "e", "female", person="c"),
    _drama("es", "hacker", "male", person="a", cap=40),
    _drama("es", "braun", "male", person="a", cap=30),
    _drama("es", "igor", "male", person="a", cap=30),
    _drama("es", "innkeeper", "male", person="a", cap=30),
    _drama("es", "l", "male", person="b", cap=30),
    _drama("es", "b", "male", person="b"),
    _drama("es", "girl", "female", person="c", cap=30),
    _drama("es", "e", "female", person="d", cap=30),
)

MUSIC = (
    *(
        _track("asterisk-moh-opsound-wav", name, composer=name.split("-")[0], channel="telephone")
        for name in (
            "macroform-cold_day",
            "macroform-robot_dity",
            "macroform-the_simplicity",
            "manolo_camp-morning_coffee",
            "reno_project-system",
        )
    ),
    *(
        _track("hedgewars-data", f"Music/{name}", composer=composer)
        for name, composer in (
            ("City", "hsr"),
            ("Compost", "hg"),
            ("EarthRise", "nilsson"),
            ("oriental", "nilsson"),
            ("Fruit", "kraevskiy"),
            ("Jungle", "kraevskiy"),
            ("Nature", "dum"),
            ("olympics_sd", "yd"),
        )
    ),
    *(
        _track("asc-music", name, composer="kievernagel")
        for name in ("frontiers", "machine_wars", "time_to_strike")
    ),
    *(_track("drascula-music", f"track{n}", composer="alcachofa") for n in (2, 23, 30)),
    *(
        _track("frozen-bubble-data", name, composer="frozen-bubble")
        for name in ("frozen-mainzik-1p", "introzik")
    ),
)

VOICES: tuple[Voice, ...] = (*TELEPHONE_VOICES, *TUTOR_VOICES, *GAME_VOICES, *MUSIC)
