"""A table of which one row is chosen, told by what browsers send: a click, or what they have not yet forgotten."""

import json

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest


def page():
    import pandas as pd
    import streamlit as st

    from pages.shared.row_table import row_table

    names = ["a", "b", "c", "d"]
    if st.session_state.get("is_turned"):
        names.reverse()
    chosen = st.session_state.setdefault("chosen", "b")
    row_table(
        pd.DataFrame({"name": names}),
        key="table",
        chosen=names.index(chosen) if chosen in names else None,
        on_choice=lambda row: st.session_state.update(chosen=names[row]),
        height_px=200,
        column_config={},
    )
    st.button("Turn", on_click=lambda: st.session_state.update(is_turned=True))


@pytest.fixture
def app():
    return AppTest.from_function(page).run()


def act(app, *, rows=(), cells=(), turn=False):
    """What a browser sends with an act: the rows and cells that its table shows as chosen, and a click."""
    states = WidgetStates()
    table = states.widgets.add(id=app.dataframe[0].proto.id)
    table.string_value = json.dumps({"selection": {"rows": rows, "columns": [], "cells": cells}})
    if turn:
        states.widgets.add(id=app.button[0].id, trigger_value=True)
    app._run(states)
    assert not app.exception


def shown(app):
    """The chosen thing, and what the page shows as chosen."""
    rows = app.session_state["table"]["selection"]["rows"]
    return app.session_state["chosen"], app.dataframe[0].value["name"].iloc[rows].tolist()


def test_a_click_on_a_row_or_a_cell_chooses(app):
    assert shown(app) == ("b", ["b"])
    act(app, rows=[3])
    assert shown(app) == ("d", ["d"])
    act(app, rows=[3], cells=[[0, "name"]])
    assert shown(app) == ("a", ["a"])
    act(app, rows=[])  # a click on the chosen row lets it go: it stays chosen
    assert shown(app) == ("a", ["a"])


def test_a_browser_that_has_not_heard_of_a_new_order_clicks_nothing(app):
    act(app, rows=[1], turn=True)
    assert shown(app) == ("b", ["b"])
    for _ in range(3):
        act(app, rows=[1])  # still where "b" was
        assert shown(app) == ("b", ["b"])
    act(app, rows=[2])  # now it has heard
    assert shown(app) == ("b", ["b"])
    act(app, rows=[1])  # and this is a click
    assert shown(app) == ("c", ["c"])


def test_a_click_is_not_taken_twice(app):
    act(app, cells=[[3, "name"]])
    app.session_state["chosen"] = "a"
    act(app, cells=[[3, "name"]])
    assert shown(app) == ("a", ["a"])
    act(app, rows=[0])
    act(app, cells=[[3, "name"]])
    assert shown(app) == ("d", ["d"])
