"""A report as one HTML file: its chapters in order, the style, and a policy that lets nothing in from outside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sae_core.analysis.latent_names import latent_name
from sae_core.corpus.values import AttributeValue
from sae_core.files.artifacts import writing
from sae_core.files.errors import ArtifactError, VoxScopeError
from sae_core.files.progress import Progress, ignore
from sae_core.report import about, comparisons, latents, verification
from sae_core.report.markup import Child, Markup, element, markup, paragraphs, said
from sae_core.report.sounds import MAX_SOUND_BYTES, Sounds
from sae_core.workspace.workspace import SaeView

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; media-src data:; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True)
class ReportSettings:
    """What a report shows.

    latent: one latent by itself, instead of the whole workspace. erased: an attribute value whose erasure is measured
    for the report, which takes longest. max_sound_bytes: of all sounds together, as they stand in the file.
    """

    latent: int | None = None
    erased: AttributeValue | None = None
    max_sound_bytes: int = MAX_SOUND_BYTES


@dataclass(frozen=True)
class Report:
    """A finished report. n_sounds, n_left_out: clips that play, and that found no room for their sound."""

    html: str
    n_sounds: int
    n_left_out: int


@dataclass(frozen=True)
class _Chapter:
    """One chapter, not made yet. name: of its anchor."""

    name: str
    title: str
    make: Callable[[], Markup | None] = field(repr=False)


def make_report(
    view: SaeView, settings: ReportSettings | None = None, *, progress: Progress = ignore
) -> Report:
    """Return the report on a workspace as one of its SAEs sees it, or on one latent.

    A chapter that cannot be made says why, and the others stand. ArtifactError where there is no such latent.
    """
    settings = settings or ReportSettings()
    sounds = Sounds(view, settings.max_sound_bytes)
    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if settings.latent is None:
        title, lead = f"{view.workspace.name}: latents of speaker embeddings", about.at_a_glance(view)
        chapters = _of_workspace(view, sounds, settings)
    else:
        if not 0 <= settings.latent < view.n_latents:
            raise ArtifactError(
                f"has no latent #{settings.latent}",
                where=view.folder,
                remedy=f"choose one from 0 to {view.n_latents - 1}",
            )
        title, lead = f"{view.workspace.name}: latent {latent_name(view, settings.latent)}", None
        chapters = _of_latent(view, sounds, settings.latent)
    chapters.append(
        _Chapter("settings", "Settings", lambda: about.settings_chapter(view, sounds, made_at=made_at))
    )
    chapters.append(_Chapter("credits", "Credits", lambda: about.credits_chapter(view)))
    bodies = []
    for number, chapter in enumerate(chapters):
        progress(number, len(chapters), chapter.title)
        bodies.append((chapter, _body(chapter)))
    progress(len(chapters), len(chapters), "done")
    head = markup(_byline(view, made_at), lead)
    return Report(_page(title, head, [each for each in bodies if each[1]]), sounds.n_taken, sounds.n_left_out)


def write_report(
    view: SaeView, file: Path, settings: ReportSettings, *, progress: Progress = ignore
) -> Report:
    """Make a report and write it to a file; see `make_report`."""
    report = make_report(view, settings, progress=progress)
    with writing(file) as temporary:
        temporary.write_text(report.html, "utf-8")
    return report


def _of_workspace(view: SaeView, sounds: Sounds, settings: ReportSettings) -> list[_Chapter]:
    trialled = verification.Trialled(view)
    chapters = [
        _Chapter("data", "Data", lambda: about.data_chapter(view)),
        _Chapter("method", "Method", lambda: about.method_chapter(view, sounds)),
        _Chapter("quality", "Quality of the SAE", lambda: about.quality_chapter(view)),
        _Chapter("latents", "Confirmed latents", lambda: latents.confirmed_chapter(view, sounds)),
        _Chapter("sweep", "Size and sparsity", lambda: comparisons.sweep_chapter(view)),
        _Chapter("movement", "Movement between SAEs", lambda: comparisons.movement_chapter(view)),
        _Chapter("steering", "Steering", lambda: verification.steering_chapter(trialled)),
        _Chapter("verification", "Speaker verification", lambda: verification.verification_chapter(trialled)),
    ]
    if (erased := settings.erased) is not None:
        chapters.append(
            _Chapter("erasure", "Erasure", lambda: verification.erasure_chapter(trialled, erased))
        )
    chapters.append(_Chapter("limits", "Limits", lambda: about.limits_chapter(view)))
    return chapters


def _of_latent(view: SaeView, sounds: Sounds, latent: int) -> list[_Chapter]:
    return [
        _Chapter("latent", "What it detects", lambda: latents.latent_chapter(view, latent, sounds)),
        _Chapter("quality", "Quality of the SAE", lambda: about.quality_chapter(view)),
        _Chapter("limits", "Limits", lambda: about.limits_chapter(view)),
    ]


def _body(chapter: _Chapter) -> Markup | None:
    """A chapter, or why it cannot be had."""
    try:
        return chapter.make()
    except VoxScopeError as error:
        return paragraphs(markup("Not available: ", said(error.what), "."))


def _byline(view: SaeView, made_at: str) -> Markup:
    return element(
        "p", "Workspace ", said(view.workspace.name), " · SAE ", said(view.name), f" · {made_at} · VoxScope",
        class_="byline",
    )  # fmt: skip


def _page(title: str, head: Child, bodies: list[tuple[_Chapter, Markup | None]]) -> str:
    contents = [element("li", element("a", chapter.title, href=f"#{chapter.name}")) for chapter, _ in bodies]
    chapters = [
        element("section", element("h2", chapter.title), body, id=chapter.name) for chapter, body in bodies
    ]
    whole = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", title),
            element("style", Markup(STYLE.read_text("utf-8"))),
        ),
        element(
            "body",
            element("header", element("h1", said(title)), head),
            element("nav", element("ol", contents), aria_label="Chapters"),
            element("main", chapters),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{whole}\n"
