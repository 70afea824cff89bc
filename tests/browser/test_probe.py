"""Probing as people do it: bring a sound, see when latents fire, play it with the position running along."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.voiced import as_wav, clip_samples

PLAYER = "window.__voxscopePlayer"


@pytest.fixture(scope="module")
def probe_address(serve, voiced_workspace):
    return serve(voiced_workspace)


def test_a_brought_sound_plays_under_its_heat_map(page: Page, probe_address, wait_for_app, voiced_workspace):
    page.goto(f"{probe_address}/probe")
    wait_for_app(page)
    sound = as_wav(np.concatenate([clip_samples(voiced_workspace, row) for row in (0, 7)]))
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.wav", "mimeType": "audio/wav", "buffer": sound}
    )
    figure = page.locator(".firing-times")
    expect(figure.locator(".line .cells rect").first).to_be_attached()
    wait_for_app(page)
    page.get_by_role("button", name="Play mine.wav").click()
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0.1")
    first = cursor_percent(page)
    page.wait_for_timeout(200)
    assert cursor_percent(page) > first
    plot = figure.locator(".plot")
    box = plot.bounding_box()
    plot.click(position={"x": 0.6 * box["width"], "y": 100})
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime >= 1.79 && {PLAYER}.audio.currentTime < 2.5")
    expect(figure.locator(".tip")).to_contain_text("s")
    url = page.evaluate(f"() => {PLAYER}.audio.src")
    page.locator(".st-key-probe_clips .play").first.click()
    page.wait_for_function(f"url => {PLAYER}.audio.src !== url && !{PLAYER}.audio.paused", arg=url)
    expect(figure.locator(".figure.playing")).to_have_count(0)
    assert page.request.get(url).status == 200
    page.get_by_role("button", name="Let go of it").click()
    expect(figure).to_have_count(0)
    wait_for_app(page)
    assert page.request.get(url).status == 404, "the sound is still served"


def cursor_percent(page: Page) -> float:
    return page.locator(".firing-times .cursor").evaluate("cursor => parseFloat(cursor.style.left)")
