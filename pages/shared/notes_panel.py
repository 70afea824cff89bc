"""What people write about a latent or a clip: a star, a label, tags and comments, with who wrote them and when."""

from collections.abc import Sequence

import streamlit as st

from pages.shared.person import current_person, may, need
from pages.shared.wording import plain
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.note_entries import MAX_AUTHOR_CHARS, MAX_NOTE_CHARS, NoteEntry, Subject, clean_author
from sae_core.workspace.notes import SubjectNotes
from sae_core.workspace.workspace import SaeView, Workspace

AUTHOR, REFUSED, WAITING = "author of notes", "refused note", "notes that wait for a name"
NO_NAME = "Enter your name: it stands beside what you write. What you wrote is saved then."


def draw_latent_notes(view: SaeView, latent: int) -> None:
    """The notes of one latent, and what was written before its SAE was trained again."""
    subject, notes = view.subject(latent), view.workspace.notes
    try:
        earlier = notes.of_earlier(subject.sae, subject.fingerprint, latent)
    except VoxScopeError:
        earlier = []  # the panel says why
    _draw_panel(view.workspace, subject, earlier)


def draw_clip_notes(workspace: Workspace, clip_id: str) -> None:
    """The notes of one clip."""
    _draw_panel(workspace, Subject(clip=clip_id), [])


def _draw_panel(
    workspace: Workspace, subject: Subject, earlier: Sequence[tuple[Subject, SubjectNotes]]
) -> None:
    with st.container(border=True, key="notes"):
        try:
            found, known = workspace.notes.of(subject), _known_tags(workspace)
        except VoxScopeError as error:
            tell_broken(error)
            return
        if not may("annotate", workspace.path.name):
            _draw_to_read(found)
            return
        with st.container(horizontal=True, vertical_alignment="bottom", key="notes_row"):
            ask_author(workspace)
            _draw_star(workspace, subject, found)
            _draw_label(workspace, subject, found)
            _draw_tags(workspace, subject, found, known)
            with st.popover(
                f"Comments · {len(found.comments)}", icon=":material/forum:", key="notes_comments"
            ):
                _draw_comments(workspace, subject, found)
        refused = st.session_state.pop(REFUSED, None)
        if refused:
            st.warning(plain(refused), icon=":material/error:")
        for written_about, notes in earlier:
            _draw_earlier(workspace, subject, written_about, notes)


def _draw_to_read(found: SubjectNotes) -> None:
    """What others wrote, for somebody who may not write here."""
    facts = [":material/star: starred"] if found.is_starred else []
    facts += [f"**{plain(found.label)}**"] if found.label else []
    facts += [plain(tag) for tag in found.tags]
    st.markdown(" · ".join(facts) or ":gray[No notes yet. You may look and listen here, not write.]")
    for comment in found.comments:
        st.caption(f"{plain(comment.author)}: {plain(comment.text)}")


def tell_broken(error: VoxScopeError) -> None:
    """Say calmly that notes cannot be read; the rest of the page goes on."""
    st.warning(f"Notes: {plain(str(error))}", icon=":material/speaker_notes_off:")


def ask_author(workspace: Workspace) -> str:
    """Who writes; asked once and then remembered for this visit, in no address. What was written before is kept until
    then, and written with the name."""
    if (signed_in := current_person().name) != "":
        st.session_state[AUTHOR] = signed_in
        return signed_in
    known = str(st.session_state.get(AUTHOR, ""))
    st.session_state["notes_author"] = known
    st.text_input(
        "Your name", key="notes_author", placeholder="to write notes", width=150, max_chars=MAX_AUTHOR_CHARS,
        on_change=_take_author, args=(workspace,), help="Stands beside what you write here. Kept for this visit only.",
    )  # fmt: skip
    return known


def _take_author(workspace: Workspace) -> None:
    try:
        st.session_state[AUTHOR] = clean_author(st.session_state["notes_author"])
    except ValueError:
        st.session_state.pop(AUTHOR, None)
        return
    for subject, kind, text in st.session_state.pop(WAITING, []):
        write_note(workspace, subject, kind, text)
        if kind == "comment":
            st.session_state.pop(f"notes_comment {_name(subject)}", None)


def _draw_star(workspace: Workspace, subject: Subject, found: SubjectNotes) -> None:
    st.button(
        "Starred" if found.is_starred else "Star",
        icon=":material/star:" if found.is_starred else ":material/star_border:",
        key="notes_star", type="primary" if found.is_starred else "secondary",
        on_click=write_note, args=(workspace, subject, "unstar" if found.is_starred else "star"),
        help="A star is for everyone who opens this workspace.",
    )  # fmt: skip


def _draw_label(workspace: Workspace, subject: Subject, found: SubjectNotes) -> None:
    key = f"notes_label {_name(subject)}"
    if REFUSED not in st.session_state:
        waiting = [note[2] for note in st.session_state.get(WAITING, []) if note[:2] == (subject, "label")]
        st.session_state[key] = [found.label, *waiting][-1]
    st.text_input(
        "Label", key=key, placeholder="what it is, in your words", max_chars=MAX_NOTE_CHARS["label"], width=260,
        on_change=lambda: write_note(workspace, subject, "label", st.session_state[key]),
        help="Shows wherever this is named, for everyone. Earlier labels are kept under Comments.",
    )  # fmt: skip


def _draw_tags(workspace: Workspace, subject: Subject, found: SubjectNotes, known: list[str]) -> None:
    key = f"notes_tags {_name(subject)}"
    st.session_state[key] = found.tags
    st.multiselect(
        "Tags", known, key=key, accept_new_options=True, placeholder="none", width=240,
        on_change=lambda: _write_tags(workspace, subject, found.tags, st.session_state[key]),
    )  # fmt: skip


def _write_tags(workspace: Workspace, subject: Subject, before: list[str], after: list[str]) -> None:
    for kind, tags in (("tag", set(after) - set(before)), ("untag", set(before) - set(after))):
        for tag in sorted(tags):
            write_note(workspace, subject, kind, tag)


def _draw_comments(workspace: Workspace, subject: Subject, found: SubjectNotes) -> None:
    for comment in found.comments:
        st.markdown(_signature(comment))
        st.text(comment.text)
    if not found.comments:
        st.caption("No comments yet.")
    key = f"notes_comment {_name(subject)}"
    st.text_area("New comment", key=key, max_chars=MAX_NOTE_CHARS["comment"], width=420)
    st.button("Add comment", key="notes_add", on_click=_add_comment, args=(workspace, subject, key))
    earlier = [entry for entry in found.labels[:-1] if entry.text]
    if earlier:
        st.caption("Earlier labels")
        for entry in earlier:
            st.markdown(f"“{plain(entry.text)}” · {_signature(entry)}")


def _add_comment(workspace: Workspace, subject: Subject, key: str) -> None:
    write_note(workspace, subject, "comment", st.session_state[key])
    if REFUSED not in st.session_state:
        st.session_state[key] = ""


def _signature(entry: NoteEntry) -> str:
    return f"**{plain(entry.author)}** :gray[{when(entry)}]"


def when(entry: NoteEntry) -> str:
    """When an entry was written, to the minute."""
    return f"{entry.written_at[:10]} {entry.written_at[11:16]} UTC"


def _draw_earlier(workspace: Workspace, subject: Subject, before: Subject, notes: SubjectNotes) -> None:
    """What was written about another latent of this number: shown as such, and taken over only on request."""
    words = f"“{plain(notes.label)}”" if notes.label else "no label"
    more = [*map(plain, notes.tags), *(plain(comment.text) for comment in notes.comments)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f":orange[:material/history: This SAE was trained again.] Before, #{before.latent} was another latent: "
            f"{words}{' · ' + ' · '.join(more) if more else ''} ({_signature(notes.entries[-1])})",
            width="stretch",
        )
        if notes.label:
            st.button(
                "Take the label over", key=f"notes_over {before.fingerprint}", type="tertiary",
                on_click=write_note, args=(workspace, subject, "label", notes.label),
            )  # fmt: skip


def write_note(workspace: Workspace, subject: Subject, kind: str, text: str = "") -> None:
    """Write for the visitor; what is refused, and why, shows in the panel, and nothing typed is lost."""
    author = current_person().name or st.session_state.get(AUTHOR)
    try:
        need("annotate", workspace.path.name)
        if not author:
            others = [note for note in st.session_state.get(WAITING, []) if note[:2] != (subject, kind)]
            st.session_state[WAITING] = [*others, (subject, kind, text)]
            raise ValueError(NO_NAME)
        workspace.notes.write(subject, kind, text=text, author=author)
    except (VoxScopeError, ValueError) as error:
        st.session_state[REFUSED] = str(error)


def _known_tags(workspace: Workspace) -> list[str]:
    return sorted({tag for notes in workspace.notes.subjects().values() for tag in notes.tags})


def _name(subject: Subject) -> str:
    return subject.clip or f"{subject.fingerprint} {subject.latent}"
