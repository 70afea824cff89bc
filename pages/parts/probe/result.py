"""What a probed sound is made of: its latents and when each is active, and the nearest clips and speakers."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from pages.figures.firing_times.firing_times import LatentRow, PlayedSound, Window, firing_times
from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.figures.ranking.ranking import RankedBar, ranking
from pages.parts.probe.choice import Probe
from pages.shared import links, wording
from pages.shared.heading import Heading
from pages.shared.problems import say_remedy
from sae_core.analysis.probe import how_unusual, nearest_clips, nearest_speakers
from sae_core.embedding.embeddings import OWN_VECTORS
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.workspace import SaeView

N_NEAREST = 12
SAME_SOUND = 0.9999
STRONGEST, RAREST = "strongest first", "most unusual first"


def _say_silence(view: SaeView, reason: VoxScopeError) -> None:
    words = wording.plain(reason.what.rstrip("."))
    st.info(f"There is no latent timeline: the sound {words}.", icon=":material/volume_off:")
    if view.embeddings.embedder != OWN_VECTORS:  # whose remedy is to choose a clip, and this is one
        say_remedy(reason.remedy)


def draw_times(view: SaeView, probe: Probe) -> None:
    """The heat map under the waveform, or why there is none."""
    excerpt, times = probe.excerpt, probe.times
    if excerpt is None or times is None:
        if probe.silence is not None:
            _say_silence(view, probe.silence)
        return
    st.header("Latent timeline", anchor=False)
    window_s = float(times.ends_s[0] - times.starts_s[0])
    st.caption(
        f"The sound is embedded again, {wording.counted(len(times.starts_s), 'window')} of {window_s:.1f} s each. "
        "Darker is stronger, measured against the latent's strongest clip in the corpus. Click to play from there. "
        "A window holds less speech than the whole, so some latents come and go."
    )
    sound = PlayedSound(probe.name, probe.mp3, "audio/mpeg", excerpt.duration_s, excerpt.peaks().tobytes())
    windows = [
        Window(float(start), float(end), bool(silent))
        for start, end, silent in zip(times.starts_s, times.ends_s, times.is_silent, strict=True)
    ]
    rows = [
        LatentRow(
            label=wording.latent_name(view, int(latent)),
            values=values.tolist(),
            top=max(float(view.latents["max_activation"].iloc[int(latent)]), float(values.max()), 1e-9),
            is_on_whole=bool(is_on_whole),
            opens=int(latent),
            href=links.latent_address(view, int(latent)),
            help=wording.measured(view, int(latent)),
        )
        for latent, values, is_on_whole in zip(
            times.latents, times.activations, times.is_on_whole, strict=True
        )
    ]
    opened = firing_times(sound, windows, rows, key="firing_times")
    if opened is not None:
        links.open_latent(view, opened)


def draw_latents(view: SaeView, probe: Probe) -> None:
    """The active latents, each with how unusual its activation is among the clips of the corpus."""
    facts = how_unusual(view, probe.found)
    order = st.segmented_control(
        "Order",
        [STRONGEST, RAREST],
        default=STRONGEST,
        key="probe_order",
        label_visibility="collapsed",
        required=True,
    )
    if order == RAREST:
        facts = facts.sort_values("share_as_strong", kind="stable")
    others = "other clips" if probe.found.row is not None else "clips"
    opened = ranking(
        [_bar(view, line, others) for _, line in facts.iterrows()],
        key="probe_latents",
        heading=Heading(
            "Active latents",
            f"bar: activation percentile among the {others} on which it is active; grey: below its threshold",
            "No latent is active on this sound.",
        ),
    )
    if opened is not None:
        links.open_latent(view, opened)


def _bar(view: SaeView, line: pd.Series, others: str) -> RankedBar:
    latent, activation = int(line["latent"]), float(line["activation"])
    facts = view.latents.iloc[latent]
    weaker, rate = wording.percent(line["share_weaker"]), wording.percent(line["firing_rate"], 1)
    is_detected = not pd.isna(facts["best_f1"]) and float(facts["best_f1"]) >= wording.CANDIDATE_F1
    # a latent with a name need not say twice what it detects
    value = "" if wording.short_meaning(view, latent) else f"{wording.best_value(facts)}, "
    detected = f" · {value}F1 {facts['best_f1']:.2f}" if is_detected else ""
    return RankedBar(
        label=wording.latent_name(view, latent),
        filled=float(line["share_weaker"]),
        value_text=f"{activation:.2f} · top {wording.percent(1 - line['share_weaker'])}",
        detail=f"active on {rate}{detected}",
        tone="" if line["is_above"] else "below",
        help=f"Activation {activation:.2f}. It is active on {rate} of the {others} ({int(line['n_active']):,}) and is "
        f"weaker than here on {weaker} of those; {wording.percent(line['share_as_strong'], 1)} of all {others} reach "
        f"this activation. {wording.measured(view, latent)}",
        opens=latent,
        href=links.latent_address(view, latent),
    )


def draw_speakers(view: SaeView, probe: Probe) -> None:
    """Speakers whose clips are most similar, each with its nearest clip to play."""
    nearest = nearest_speakers(view, probe.found)
    cards = [
        replace(
            clip_cards.clip_card(
                view,
                int(line["row"]),
                value=float(line["cosine"]),
                value_help="mean cosine with this speaker's clips",
            ),
            title=f"{line['speaker_id']}",
            chips=(f"nearest of {wording.counted(int(line['n_clips']), 'clip')}: {line['row_cosine']:.2f}",),
        )
        for _, line in nearest.iterrows()
    ]
    opened = clip_list(
        cards,
        key="probe_speakers",
        layout="rows",
        heading=Heading(
            "Closest speakers",
            f"by the mean cosine with all their clips{_left_out(probe)}",
            "No speaker of this corpus is known by name.",
        ),
    )
    if opened is not None:
        links.open_clip(view, opened)


def draw_clips(view: SaeView, probe: Probe) -> None:
    """Clips with the most similar embeddings."""
    nearest = nearest_clips(view, probe.found, n=N_NEAREST)
    cards = [
        clip_cards.clip_card(
            view,
            int(row),
            value=float(cosine),
            value_help=wording.TERMS["cosine"],
            note="the same sound" if cosine > SAME_SOUND else "",
        )
        for row, cosine in zip(nearest["row"], nearest["cosine"], strict=True)
    ]
    opened = clip_list(
        cards,
        key="probe_clips",
        heading=Heading(
            "Nearest clips",
            f"most similar embeddings, without the SAE; the bar is their cosine{_left_out(probe)}",
            "There is no other clip.",
        ),
    )
    clip_cards.tell_silent(cards)
    if opened is not None:
        links.open_clip(view, opened)


def _left_out(probe: Probe) -> str:
    return "; the clip itself is left out" if probe.found.row is not None else ""
