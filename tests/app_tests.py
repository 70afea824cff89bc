"""AppTest on this app: around what Streamlit does anew at every run, and would do once in a server."""

from functools import cache
from types import SimpleNamespace


@cache
def prepare_streamlit() -> None:
    """Let AppTest run app.py more than once beside a folder named pages/, and look through installed packages once.

    Streamlit looks for that folder anew at every AppTest run and, finding it, skips app.py for its old automatic
    navigation; a running server asks once only, before `st.navigation` says otherwise. And every run reads what all
    installed packages say of themselves, in search of components, which takes longer than most pages. What a server
    does after each run and when it opens a workspace, looking for garbage, takes half a second in a process that holds
    all these tests; Python's own search goes on.
    """
    from streamlit import config
    from streamlit.components.v2 import manifest_scanner
    from streamlit.runtime.pages_manager import PagesManager

    from pages.shared import session

    start = PagesManager.__init__

    def start_without_folder(self: PagesManager, *args: object, **kwargs: object) -> None:
        start(self, *args, **kwargs)  # type: ignore[arg-type]
        PagesManager.uses_pages_directory = False

    PagesManager.__init__ = start_without_folder  # type: ignore[method-assign]
    config.set_option("runner.postScriptGC", False)
    session.gc = SimpleNamespace(unfreeze=_nothing, collect=_nothing, freeze=_nothing)  # type: ignore[assignment]
    manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def _nothing() -> None:
    pass
