"""What the tests of pages share: reading what a component was given to draw."""

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def drawn() -> Callable[[Any, str], dict[str, Any]]:
    """`drawn(app, key)` returns the data that a page handed to one of its own components."""

    def read(app: Any, key: str) -> dict[str, Any]:
        found = [element for element in app.get("bidi_component") if element.key == key]
        assert found, (
            f"{key} is not on the page, only {[element.key for element in app.get('bidi_component')]}"
        )
        proto = found[0].proto
        text = proto.json if proto.WhichOneof("data") == "json" else proto.mixed.json
        return json.loads(text)

    return read


@pytest.fixture(scope="session")
def words() -> Callable[[Any], str]:
    """`words(app)` returns all text on a page, for looking up what it says."""

    def read(app: Any) -> str:
        kinds = (
            app.title,
            app.header,
            app.subheader,
            app.markdown,
            app.caption,
            app.code,
            app.info,
            app.warning,
            app.error,
            app.metric,
        )
        return "\n".join(
            f"{getattr(element, 'label', '')} {element.value}" for kind in kinds for element in kind
        )

    return read
