"""The Erasure page on the small workspace: the curve of the core, its points in the address, a point to steer by."""

import numpy as np
import pytest

from sae_core.analysis.erasure import erasure_curve, measure_cost, measure_leftover, steered_vectors
from sae_core.analysis.trial_sets import draw_trials, usual_among
from sae_core.workspace.workspace import open_workspace

VALUE = ("gender", "female")


@pytest.fixture(scope="module")
def view(small_workspace):
    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def trial_set(view):
    return draw_trials(view, among=usual_among(view.workspace.corpus))


@pytest.fixture(scope="module")
def curve(view, trial_set):
    return erasure_curve(view, VALUE, trial_set, n_steps=8)


def test_the_page_shows_the_curve_of_the_core_and_opens_a_point(
    app_test, view, trial_set, curve, words, drawn
):
    app = app_test(
        view.workspace.path, "erasure", value="gender=female", steps="8", removal="most telling", removed="3"
    ).run()
    assert not app.exception and "went wrong" not in words(app)
    points = curve.points[curve.points["method"] == "most telling"]
    shown = app.dataframe[0].value
    np.testing.assert_allclose(shown["probe"], points["balanced_accuracy"])
    np.testing.assert_allclose(shown["eer"], 100 * points["eer"])
    fewest = curve.fewest("most telling")
    assert f"until the probe is at chance: {'never' if fewest is None else fewest}" in words(app)
    changes = curve.changes("most telling", 3)
    listed = ",".join(str(change.latent) for change in changes)
    link = next(link for link in app.get("page_link") if link.proto.label == "Open as a steering")
    assert f"steer={view.name}%3A{listed.replace(',', '%2C')}" in link.proto.query_string
    assert [card["opens"] for card in drawn(app, "erased_latents")["clips"]] == list(
        curve.orders["most telling"][:3]
    )
    cost = measure_cost(trial_set, steered_vectors(view, changes)[trial_set.rows])
    cllr = next(metric.value for metric in app.metric if metric.label == "Cllr")
    assert cllr == f"{cost.cllr['before'][0]:.3f} → {cost.cllr['after'][0]:.3f}"
    app.button(key="measure_leftover").click().run()
    assert not app.exception
    found = measure_leftover(view, changes, trial_set, erased=[VALUE]).table
    left = next(table.value for table in app.dataframe if "majority_rate" in table.value)
    np.testing.assert_allclose(left["change"], found["change"])
    assert left["value"][0] == "Gender: female" and left["said"][0].startswith("meant")


def test_the_usual_point_is_where_the_probe_is_at_chance_or_the_last(app_test, small_workspace, curve):
    app = app_test(small_workspace, "erasure", value="gender=female", steps="8", removed="99").run()
    assert not app.exception
    assert app.query_params["removed"] == str(curve.fewest("greedy") or 8)


def test_long_work_is_done_once_and_again_after_a_failure(app_test):
    from streamlit.testing.v1 import AppTest

    def script():
        from pages.shared.long_work import Result
        from sae_core.files.errors import CorpusError

        place, done = Result(), []

        def work(progress):
            progress(1, 2, "half")
            done.append(len(done))
            if len(done) == 1:
                raise CorpusError("is too small", where=".", remedy="")
            return len(done)

        try:
            place.get(work, words="Working")
        except CorpusError as error:
            import streamlit as st

            st.write(error.what, place.is_made)
        import streamlit as st

        st.write(place.get(work, words="Working"), place.get(work, words="Working"), place.is_made)

    shown = AppTest.from_function(script).run()
    assert not shown.exception
    assert [element.value for element in shown.markdown] == ["is too small `False`", "`2` `2` `True`"]
    assert not shown.get("progress")


def test_long_work_leaves_the_other_cores_alone_and_gives_them_back():
    from threadpoolctl import threadpool_info, threadpool_limits

    from pages.shared.long_work import _one_core

    def threads():
        return {pool["num_threads"] for pool in threadpool_info()}

    with threadpool_limits(2):
        before = threads()
        with _one_core:
            with _one_core:
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == before
