"""Who is signed in, how to sign out, and links that let others look: a line above each page of a shared server."""

from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import streamlit as st

from pages.shared import links
from pages.shared.person import INVITATIONS, LINK, MAX_LINK_HOURS, current_person, may
from sae_core.workspace.people import OWNER

HOURS = {"an hour": 1, "a day": 24, "a week": 24 * 7, "a month": MAX_LINK_HOURS}
SHARE_HELP = (
    "Whoever has the link may look at this workspace and listen, beginning with this page as it stands. It ends by "
    "itself, and with the server."
)


def draw_visitor(workspace: str | None) -> None:
    """The line, where somebody is signed in; nothing on a server of one machine."""
    person = current_person()
    if person is OWNER:
        return
    with st.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="visitor"
    ):
        if workspace is not None and may("build", workspace):
            with st.popover("Share", icon=":material/share:", type="tertiary", key="share"):
                _draw_share(workspace)
        name = escape(person.name) or "someone with the token"
        st.html(
            f'<span>Signed in as {name} · <a href="sign-out" target="_self">Sign out</a></span>',
            width="content",
        )


def _draw_share(workspace: str) -> None:
    chosen = st.selectbox("The link lasts", list(HOURS), index=1, key="share_hours", help=SHARE_HELP)
    if st.button("Make a link to this view", key="share_make", type="primary"):
        token = INVITATIONS.token(workspace, hours=HOURS[chosen])
        st.code(with_invitation(st.context.url or "", workspace, token), language=None, wrap_lines=True)


def with_invitation(address: str, workspace: str, token: str) -> str:
    """The address of a view that lets whoever opens it look at its workspace."""
    parts = urlsplit(address)
    view = dict(parse_qsl(parts.query)) | dict(st.query_params)
    query = urlencode({**view, links.WORKSPACE: workspace, LINK: token})
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
