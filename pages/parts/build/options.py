"""How a build is done: the embedder, the grid of autoencoders in plain words, the device, and the name."""

from typing import Any

import streamlit as st

from pages.parts.build.source import HERE, ZIP, BuildSource
from pages.shared.wording import VARIANT_WORDS, counted, plain
from sae_core.build.plan import BuildPlan, expected_s, suggest_grid
from sae_core.corpus.surveys import is_at_hand
from sae_core.embedding.embedders import ABOUT, EMBEDDERS, missing_packages
from sae_core.files.errors import CorpusError
from sae_core.sae.config import TRAINED_VARIANTS
from sae_core.workspace.places import Places, is_name

NEEDS_FILE = "onnx"
EMBEDDER_WORDS = {name: ABOUT.get(name, (name, "")) for name in EMBEDDERS if name != NEEDS_FILE}
USUAL_EMBEDDER, WITHOUT_NEMO = "titanet", "campplus"
FETCHES = (
    "The weights of TitaNet are not on this machine. NeMo fetches them, about 100 MB, when the build begins, if the "
    "machine may reach its hub; otherwise take CAM++, or give a file: `python -m sae_core build … --model FILE.nemo`."
)
NOT_INSTALLED = (
    "{0} is not installed on this server. To use it, run `pip install 'voxscope[{1}]'` there (in a checkout: "
    "`pip install -r requirements.txt`) and start the server again; or choose CAM++."
)
MIX, SPLIT = "mix", "split"
SIDE_WORDS = {MIX: "Mix them to one", SPLIT: "Each side is a speaker of its own"}
TWO_SIDED = (
    "{0} of the {1} recordings looked at {2} two different sides, as both ends of a call have ({3}). Mixed, two "
    "speakers become one."
)
USUAL, ONE, OWN = "usual", "one", "own"
GRID_WORDS = {USUAL: "A grid", ONE: "Only one", OWN: "Custom"}
SIZES = tuple(2**power for power in range(4, 14))
KS = (2, 4, 8, 16, 32, 64)
DEVICES = {None: "a GPU if there is one", "cpu": "processor", "cuda": "GPU"}


def choose_options(places: Places, source: BuildSource) -> tuple[str, BuildPlan | None]:
    """Let people choose how to build, and return the name of the workspace and the plan; None while it cannot be."""
    left, right = st.columns(2, gap="large")
    with left:
        embedder = _choose_embedder()
        more = _choose_cut(source)
    with right:
        n_clips = source.survey.n_recordings if source.survey else 1000
        grid = _choose_grid(n_clips)
        name = _choose_name(places, source)
    try:
        plan = BuildPlan(".", embedder=embedder, **more, **grid)
        _tell_size(plan, n_clips)
    except (ValueError, CorpusError) as error:
        st.warning(f"{str(error)[:1].upper()}{str(error)[1:]}.", icon=":material/grid_off:")
        return name, None
    return name, plan if name and not missing_packages(embedder) else None


def _choose_embedder() -> str:
    lacking = {name: missing_packages(name) for name in EMBEDDER_WORDS}
    has_usual = is_at_hand(USUAL_EMBEDDER) and not lacking[USUAL_EMBEDDER]
    usual = USUAL_EMBEDDER if has_usual else WITHOUT_NEMO
    embedder = st.radio(
        "Embedder",
        list(EMBEDDER_WORDS),
        index=list(EMBEDDER_WORDS).index(usual),
        format_func=lambda name: EMBEDDER_WORDS[name][0],
        captions=[
            f"{words}; **not installed here**" if lacking[name] else words
            for name, (_, words) in EMBEDDER_WORDS.items()
        ],
        key="build_embedder",
        help="The network that turns a clip into a speaker embedding; the SAEs are trained on these. Any speaker "
        "network in an ONNX file: `python -m sae_core build … --embedder onnx --model FILE.onnx`.",
    )
    if lacking[str(embedder)]:
        words = NOT_INSTALLED.format(EMBEDDER_WORDS[str(embedder)][0], embedder)
        st.warning(words, icon=":material/extension_off:")
    elif not is_at_hand(str(embedder)):
        st.info(FETCHES, icon=":material/cloud_download:")
    return str(embedder)


def _choose_cut(source: BuildSource) -> dict[str, Any]:
    """The device and, for recordings that are yet to be cut, how."""
    sides = _choose_sides(source) if source.two_sided else None
    with st.popover("More", icon=":material/tune:"):
        device = st.selectbox(
            "Compute on", list(DEVICES), format_func=DEVICES.__getitem__, key="build_device"
        )
        if source.kind == HERE:
            return {"device": device}
        window_s = st.number_input(
            "Cut recordings into clips of (seconds)", 0.5, 600.0, None, 0.5, key="build_window",
            placeholder="as they are",
            help="For long calls; about 4 seconds suit an embedder.",
        )  # fmt: skip
        sides = sides or _choose_sides(source)
        channel = None
        if sides == MIX:
            channel = st.number_input(
                "Channel (0 = left)", 0, 63, None, key="build_channel", placeholder="all, mixed",
                help="One side of a telephone call.",
            )  # fmt: skip
    chosen = {"channels": SPLIT} if sides == SPLIT else {}
    return {"device": device, "window_s": window_s, "channel": channel, **chosen}


def _choose_sides(source: BuildSource) -> str:
    """What two channels are; said where the recordings that were looked at are calls."""
    if source.two_sided and source.survey is not None:
        n, n_looked_at = len(source.two_sided), len(source.survey.examples)
        words = TWO_SIDED.format(n, n_looked_at, "has" if n == 1 else "have", plain(source.two_sided[0]))
        st.info(words, icon=":material/call_split:")
    sides = st.segmented_control(
        "Two-channel recordings", list(SIDE_WORDS), default=MIX, required=True, key="build_sides",
        format_func=SIDE_WORDS.__getitem__,
        help="As a speaker of its own, each side becomes clips named <call>/left and <call>/right, both in one split.",
    )  # fmt: skip
    return str(sides)


def _choose_grid(n_clips: int) -> dict[str, Any]:
    kind = st.segmented_control(
        "Autoencoders", list(GRID_WORDS), default=USUAL, required=True, format_func=GRID_WORDS.__getitem__,
        key="build_grid",
        help="Several show how size decides what a latent stands for; one is quickest. More can be added at any time.",
    )  # fmt: skip
    usual = suggest_grid(max(1, round(0.6 * n_clips)))
    if kind == ONE:
        return {"variants": ("matryoshka",), "n_latents": (max(usual.n_latents),), "ks": (max(usual.ks),)}
    if kind != OWN:
        return {}
    variants = st.multiselect(
        "Variants",
        TRAINED_VARIANTS,
        list(usual.variants),
        format_func=VARIANT_WORDS.__getitem__,
        key="build_variants",
    )
    sizes = sorted({*SIZES, *usual.n_latents})
    n_latents = st.multiselect("Numbers of latents", sizes, list(usual.n_latents), key="build_latents")
    ks = st.multiselect(
        "Active latents per clip (k)", sorted({*KS, *usual.ks}), list(usual.ks), key="build_ks"
    )
    n_seeds = st.number_input("Seeds per configuration", 1, 10, 1, key="build_seeds")
    if not (variants and n_latents and ks):
        raise ValueError("choose at least one variant, one number of latents and one k")
    return {
        "variants": tuple(variants),
        "n_latents": tuple(n_latents),
        "ks": tuple(ks),
        "seeds": tuple(range(int(n_seeds))),
    }


def _tell_size(plan: BuildPlan, n_clips: int) -> None:
    """What the grid comes to, in plain words."""
    grid = plan.grid(max(1, round(0.6 * n_clips)))
    n_saes = len(grid.configs(1))
    minutes = expected_s(plan, n_clips) / 60
    takes = "about a minute" if minutes < 1.5 else f"about {minutes:,.0f} minutes"
    sizes, ks = (" and ".join(f"{n:,}" for n in sorted(numbers)) for numbers in (grid.n_latents, grid.ks))
    st.caption(
        f"**{counted(n_saes, 'autoencoder')}** ({' and '.join(grid.variants)}) with {sizes} latents, of which {ks} are "
        f"active per clip. On two processor cores a build of this size takes **{takes}**."
    )


def _choose_name(places: Places, source: BuildSource) -> str:
    """The name of the new workspace, empty where it will not do."""
    if source.kind == HERE:
        return source.name
    suggested = (
        "".join(c if is_name(c) or c in " .+_-" else "-" for c in source.name).strip(" .+-_")[:64] or "calls"
    )
    name = st.text_input(
        "Name of the new workspace", suggested, max_chars=64, key=f"build_name_{source.kind}_{source.name}"
    ).strip()
    if not is_name(name):
        st.caption(":orange[Use letters, digits, spaces, and . _ + - inside.]")
        return ""
    if name in places.taken():
        st.caption(f":orange[There is a workspace named {name} already; choose another name.]")
        return ""
    where = " Your zip is unpacked into it." if source.kind == ZIP else " The recordings stay where they are."
    st.caption(f"It will lie in `{places.folder}`.{where}")
    return name
