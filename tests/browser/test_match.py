"""Two clips compared in a real browser: two clicks on cards, then their score and their sounds."""

import re

from playwright.sync_api import expect


def test_two_clips_of_a_latent_are_matched_and_heard(visit, wait_for_app):
    page = visit("latents")
    page.locator(".st-key-clips_strongest .compare").first.click()
    kept = page.locator(".st-key-clips_strongest .compare[aria-pressed=true]")
    expect(kept).to_have_count(1)
    first = (kept.get_attribute("aria-label") or "").split(": ")[-1]
    other = page.locator(".st-key-clips_middle .compare").nth(1)
    expect(other).to_have_attribute("aria-label", re.compile(f"^Compare with {re.escape(first)}"))
    second = (other.get_attribute("aria-label") or "").split(": ")[-1]
    other.click()
    expect(page).to_have_url(re.compile("/match"))
    expect(page.locator(".st-key-pair_card_a .title")).to_have_text(first)
    expect(page.locator(".st-key-pair_card_b .title")).to_have_text(second)
    wait_for_app(page)
    expect(page.locator(".st-key-match_waterfall .barlayer .point").first).to_be_visible()
    page.locator(".st-key-match_sounds .play").first.click()
    page.wait_for_function("() => window.__voxscopePlayer.audio.currentTime > 0.1")
    page.set_viewport_size({"width": 900, "height": 900})
    assert page.get_by_test_id("stMain").evaluate("node => node.scrollWidth <= node.clientWidth")
