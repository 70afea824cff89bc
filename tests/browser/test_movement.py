"""The Movement page in a real browser: flows and cells list clips, clips play, names open latents."""

import re

from playwright.sync_api import expect

PLAYER = "window.__voxscopePlayer"
ADDRESS = "movement?from=synthetic-topk-64-k8-s1&to=synthetic-matryoshka-64-k8-s1"
LIST = ".st-key-movement_clips_list"


def test_a_flow_picked_by_key_or_mouse_lists_clips_that_play(visit):
    page = visit(ADDRESS)
    flow = page.locator(".st-key-movement_flow path.link.leave").first
    words = (flow.get_attribute("aria-label") or "").split(":")[0]
    flow.focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{LIST} .label")).to_have_text(words)
    expect(page).to_have_url(re.compile("clips_of=flow"))
    expect(page.locator(".st-key-movement_flow path.picked")).to_have_attribute("aria-pressed", "true")
    page.locator(f"{LIST} .play").first.click()
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0.1")
    # a click that waits until the page no longer scrolls to the list
    page.locator(".st-key-movement_flow path.link.stay").first.click()
    expect(page.locator(f"{LIST} .label")).to_have_text(re.compile("^Kept"))


def test_a_cell_lists_its_clips_and_a_clip_opens(visit):
    page = visit(ADDRESS)
    cell = page.locator(".st-key-movement_groups button.cell").first
    n = int(cell.inner_text().replace(",", ""))
    cell.click()
    expect(page.locator(f"{LIST} .label")).to_have_text(re.compile("^(Kept|Lost|Gained): "))
    expect(page.locator(f"{LIST} .help")).to_have_text(re.compile(rf"^{n:,} clip"))
    clip = page.locator(f"{LIST} a.title").first
    name = clip.inner_text()
    clip.click()
    expect(page.locator(".st-key-chosen_clip .title")).to_have_text(name)


def test_the_name_of_a_place_opens_its_latent(visit):
    page = visit(ADDRESS)
    name = page.locator(".st-key-movement_flow .node a").last
    number = re.search(r"#\d+", name.locator("tspan").first.text_content() or "")
    assert number is not None
    name.click()
    expect(page.locator(".st-key-latent_heading h2")).to_contain_text(f"Latent {number[0]}")


def test_the_diagram_is_saved_as_a_picture_with_its_colours(visit):
    page = visit(ADDRESS)
    with page.expect_download() as download:
        page.locator(".st-key-movement_flow .save").click()
    content = download.value.path().read_text("utf-8")
    assert download.value.suggested_filename.endswith(".svg")
    assert content.startswith("<svg") and re.search(r'fill="#[0-9a-f]{6}"', content)
    assert "var(" not in content and "color(" not in content
