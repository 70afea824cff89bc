"""Probing as people do it: bring a sound, see when latents fire, play it with the position running along."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.voiced import as_wav, clip_samples

PLAYER = "window.__voxscopePlayer"
ADDRESS = f"() => new URL({PLAYER}.url, document.baseURI).href"


@pytest.fixture(scope="module")
def probe_address(serve, voiced_workspace):
    return serve(voiced_workspace)


def test_a_brought_sound_plays_under_its_heat_map(page: Page, probe_address, wait_for_app, voiced_workspace):
    page.goto(f"{probe_address}/probe")
    wait_for_app(page)
    sound = as_wav(np.concatenate([clip_samples(voiced_workspace, row) for row in (0, 7, 0, 7)]))
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.wav", "mimeType": "audio/wav", "buffer": sound}
    )
    figure = page.locator(".firing-times")
    expect(figure.locator(".line .cells rect").first).to_be_attached()
    wait_for_app(page)
    page.get_by_role("button", name="Play mine.wav").click()
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0.1")
    cursor = figure.locator(".cursor")
    first = cursor.get_attribute("style")
    expect(cursor).not_to_have_attribute("style", first)
    assert float(cursor.get_attribute("style").split()[1].rstrip("%;")) > float(first.split()[1].rstrip("%;"))
    page.evaluate(f"{PLAYER}.audio.onseeking = () => (window.soughtAt = {PLAYER}.audio.currentTime)")
    plot = figure.locator(".plot")
    plot.click(position={"x": 0.6 * plot.bounding_box()["width"], "y": 100})
    page.wait_for_function("() => Math.abs(window.soughtAt - 0.6 * 6) < 0.1")
    expect(figure.locator(".tip")).to_contain_text("s")
    url = page.evaluate(ADDRESS)
    page.locator(".st-key-probe_clips .play").first.click()
    page.wait_for_function(f"url => ({ADDRESS})() !== url && !{PLAYER}.audio.paused", arg=url)
    expect(figure.locator(".figure.playing")).to_have_count(0)
    assert page.request.get(url).status == 200
    page.get_by_role("button", name="Discard it").click()
    expect(figure).to_have_count(0)
    wait_for_app(page)
    assert page.request.get(url).status == 404, "the sound is still served"
