"""Steering and Verification in a real browser: drag, release, listen, follow."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

DESK = ".st-key-steering_desk"
SHIFTS = f"{DESK} .shift"
PLAYER = "window.__voxscopePlayer"


def drag(page: Page, slider: Locator, shares: list[float]) -> None:
    """Hold a slider and move it along, without letting go."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    for number, share in enumerate(shares):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        if number == 0:
            page.mouse.down()


def test_the_figure_follows_a_drag_and_the_numbers_its_release(visit, wait_for_app):
    page = visit("steering")
    name = page.locator(f"{DESK} .name").first
    latent = re.search(r"#(\d+)", name.inner_text())
    assert latent is not None
    address, before = page.url, page.locator(SHIFTS).first.text_content()
    error = page.locator(".st-key-steering_effect").inner_text()
    drag(page, page.locator(f"{DESK} .range").first, [0.02, 0.3, 0.6, 0.9])
    expect(page.locator(SHIFTS).first).not_to_have_text(before)
    assert page.url == address
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"steer=[^&]*(%3A|%2C){latent[1]}x2\.\d"))
    expect(page.locator(".st-key-steering_effect")).not_to_have_text(error, use_inner_text=True)
    wait_for_app(page)
    expect(page.locator(f"{DESK} .amount").first).to_contain_text("× 2.")
    shown = page.locator(SHIFTS).first.text_content()
    page.reload()
    wait_for_app(page)
    expect(page.locator(SHIFTS).first).to_have_text(shown)


def test_a_slider_moves_from_the_keyboard_and_a_latent_is_taken_off(visit, wait_for_app):
    page = visit("steering")
    slider = page.locator(f"{DESK} .range").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"steer=[^&]*x0\.0\d"))
    page.locator(f"{DESK} .mode", has_text="set").first.click()
    expect(page).to_have_url(re.compile(r"steer=[^&]*%3D\d"))
    wait_for_app(page)
    n_rows = page.locator(f"{DESK} .row").count()
    page.locator(f"{DESK} .remove").first.click()
    expect(page.locator(f"{DESK} .row")).to_have_count(n_rows - 1)
    wait_for_app(page)


def test_neighbours_play_and_a_name_opens_its_latent(visit):
    page = visit("steering")
    page.locator(".st-key-near_after .play").first.click()
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0.1")
    with page.expect_download() as saved:
        page.locator(f"{DESK} .save").click()
    assert saved.value.suggested_filename == "voxscope-steering.svg"
    name = page.locator(f"{DESK} .name").first
    latent = re.search(r"#\d+", name.inner_text())
    assert latent is not None
    name.click()
    expect(page.locator(".st-key-latent_heading h2")).to_contain_text(f"Latent {latent[0]}")
    page.locator(".st-key-latent_heading").get_by_text("Steer this").click()
    expect(page.locator(f"{DESK} .name")).to_have_count(1)
    expect(page.locator(f"{DESK} .name")).to_contain_text(latent[0])


def test_a_row_of_the_ranking_opens_its_latent(visit):
    page = visit("verification")
    canvas = page.locator(".st-key-identity_table canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 250, box["y"] + 36 + 35 + 17)
    expect(page.locator(".st-key-latent_heading h2")).to_contain_text("Latent #")
    expect(page).to_have_url(re.compile(r"latents\?.*latent=\d+"))


@pytest.mark.parametrize(("scheme", "width"), [("light", 900), ("dark", 1440)])
@pytest.mark.parametrize("path", ["steering", "verification"])
def test_pages_fit_and_follow_the_theme(visit, page, scheme, width, path):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    visit(path)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("node => node.scrollWidth <= node.clientWidth")
    part = page.locator(f"{DESK} .row" if path == "steering" else ".st-key-forms").first
    expect(part).to_be_visible()
    assert part.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
