"""The map as people use it: hear a dot, draw round some, isolate a value, follow links, come back by the address."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.plain_maps import copy_with_maps

PLAYER = "window.__voxscopePlayer"


@pytest.fixture(scope="module")
def map_address(serve, small_workspace, tmp_path_factory):
    return serve(copy_with_maps(small_workspace, tmp_path_factory.mktemp("maps")))


@pytest.fixture
def visit(page: Page, map_address, wait_for_app):
    """`visit(path)` opens a page and returns it once every dot is drawn."""

    def go(path: str = "map") -> Page:
        page.goto(f"{map_address}/{path}")
        wait_for_app(page)
        expect(stage(page)).to_have_attribute("data-state", "ready")
        return page

    return go


def stage(page: Page):
    return page.locator(".stage")


def place_of(page: Page, point: int) -> tuple[float, float]:
    place = stage(page).evaluate("(node, point) => node.placeOf(point)", point)
    return place["x"], place["y"]


def n_coloured(page: Page) -> int:
    """How many pixels of the picture are not the ground's."""
    return (
        stage(page)
        .locator(".dots")
        .evaluate(
            """canvas => {
          const gl = canvas.getContext("webgl2");
          const pixels = new Uint8Array(4 * canvas.width * canvas.height);
          gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
          let n = 0;
          for (let i = 3; i < pixels.length; i += 4) n += pixels[i] > 120;
          return n;
        }"""
        )
    )


def lone_points(page: Page, n: int) -> list[int]:
    """Points with no other near them, so that a click means one."""
    return stage(page).evaluate(
        """(node, n) => {
          const count = Number(node.dataset.points);
          const places = [...Array(count).keys()].map((point) => node.placeOf(point));
          const box = node.getBoundingClientRect();
          const isAlone = ({ x, y }, i) => x > box.left + 150 && x < box.right - 240
            && y > box.top + 60 && y < box.bottom - 20
            && places.every((other, j) => i === j || Math.hypot(other.x - x, other.y - y) > 6);
          return places.flatMap((place, i) => (isAlone(place, i) ? [i] : [])).slice(0, n);
        }""",
        n,
    )


def test_a_dot_sounds_and_the_next_takes_over(visit):
    page = visit()
    first, second = lone_points(page, 2)
    page.mouse.click(*place_of(page, first))
    page.wait_for_function(f"() => {PLAYER} && {PLAYER}.audio.currentTime > 0.05")
    title = page.locator(".st-key-map_dot a.title")
    clip_id = title.inner_text()
    # what sounds came by the dot's number, and goes on as the card's
    expect(page.locator(".st-key-map_dot .card")).to_have_class(re.compile("playing"))
    asked = page.evaluate("() => performance.getEntriesByType('resource').map(entry => entry.name)")
    assert any("/dot-sounds/" in address for address in asked)
    expect(page).to_have_url(re.compile(f"clip={clip_id}"))
    url = page.evaluate(f"() => {PLAYER}.url")
    page.mouse.move(*place_of(page, second))
    expect(page.locator(".tip")).to_have_class(re.compile("shown"))
    hovered = page.locator(".tip strong").inner_text()
    page.mouse.click(*place_of(page, second))
    expect(title).to_have_text(hovered)
    page.wait_for_function(f"url => {PLAYER}.url !== url && {PLAYER}.audio.currentTime > 0.05", arg=url)
    title.click()
    expect(page.locator(".st-key-chosen_clip .title")).to_have_text(hovered)
    page.get_by_role("link", name="Map").first.click()
    expect(title).to_have_text(hovered)
    expect(page.locator(".st-key-map_dot_latents a.name").first).to_have_attribute(
        "href", re.compile("latents")
    )


def test_a_lasso_lists_what_lies_in_it_and_a_value_isolates(visit):
    page = visit()
    page.locator(".tool.lasso").click()
    box = stage(page).bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    corners = [(-120, -110), (0, -140), (130, -90), (140, 60), (20, 150), (-130, 100), (-120, -100)]
    page.mouse.move(middle[0] + corners[0][0], middle[1] + corners[0][1])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(middle[0] + x, middle[1] + y, steps=4)
    page.mouse.up()
    heading = page.locator(".st-key-map_selection_head h2")
    expect(heading).to_contain_text(re.compile(r"\d+ clips, \d+ speakers selected"))
    n_all = int(heading.inner_text().split(" ")[0])
    expect(page.locator(".st-key-map_selected_clips .card")).to_have_count(12)
    with page.expect_download() as download:
        page.locator(".st-key-map_csv_Clips button").click()
    assert len(download.value.path().read_text().splitlines()) == n_all + 1
    page.locator(".legend .entry").first.click()
    expect(heading).not_to_contain_text(f"{n_all} clips")
    assert int(heading.inner_text().split(" ")[0]) < n_all
    expect(page).to_have_url(re.compile(r"only=language"))
    page.locator(".show-all").click()
    expect(heading).to_contain_text(f"{n_all} clips")
    expect(page).to_have_url(re.compile("area=clips"))
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(heading).to_contain_text(f"{n_all} clips")
    value = page.locator(".st-key-map_values_apart a.name").first
    name = value.evaluate("link => { link.click(); return link.textContent; }")
    expect(page.locator(".legend .entry[aria-pressed=true] .name")).to_have_text(name)
    expect(page).to_have_url(re.compile(r"colour=\w+&.*only=|only=.*&colour="))
    page.locator(".tool.clear").click()
    expect(heading).to_have_count(0)


def test_isolating_a_value_leaves_its_dots_and_stands_in_the_address(visit, page):
    visit()
    everything = n_coloured(page)
    entry = page.locator(".legend .entry").nth(1)
    entry.click()
    expect(stage(page)).to_have_attribute("data-state", "ready")
    expect(page).to_have_url(re.compile("only="))
    expect(entry).to_have_attribute("aria-pressed", "true")
    alone = n_coloured(page)
    assert 0 < alone < 0.6 * everything
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(stage(page)).to_have_attribute("data-state", "ready")
    expect(page.locator(".legend .entry[aria-pressed=true]")).to_have_count(1)
    assert n_coloured(page) == pytest.approx(alone, rel=0.02)
    page.locator(".show-all").click()
    expect(page.locator(".legend .entry[aria-pressed=true]")).to_have_count(0)


def test_it_pans_zooms_and_comes_back(visit, page):
    visit()
    before = place_of(page, 3)
    box = stage(page).bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 40, steps=4)
    page.mouse.up()
    assert place_of(page, 3) == pytest.approx((before[0] + 60, before[1] + 40), abs=1)
    page.mouse.move(*middle)
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(100)
    farther = place_of(page, 3)
    assert abs(farther[0] - middle[0]) > abs(before[0] + 60 - middle[0])
    page.mouse.dblclick(box["x"] + 30, box["y"] + box["height"] - 20)
    assert place_of(page, 3) == pytest.approx(before, abs=1)
    page.locator(".tool.closer").click()
    assert place_of(page, 3) != pytest.approx(before, abs=1)
    stage(page).focus()
    page.keyboard.press("0")
    assert place_of(page, 3) == pytest.approx(before, abs=1)
    page.keyboard.press("ArrowRight")
    assert place_of(page, 3) == pytest.approx((before[0] - 60, before[1]), abs=1)
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => {PLAYER} && {PLAYER}.audio.currentTime > 0.05")
    expect(page).to_have_url(re.compile(r"view=0\.\d+%2C0%2C1"))
    shown, address = place_of(page, 3), page.url
    page.goto("about:blank")
    page.goto(address)
    expect(stage(page)).to_have_attribute("data-state", "ready")
    assert place_of(page, 3) == pytest.approx(shown, abs=2)


def test_latents_on_the_map_play_and_colour_the_clips(visit, page, wait_for_app):
    visit("map?map=directions")
    point = lone_points(page, 1)[0]
    page.mouse.click(*place_of(page, point))
    heading = page.locator(".st-key-map_detail h2")
    expect(heading).to_contain_text("#")
    page.wait_for_function(f"() => {PLAYER} && {PLAYER}.audio.currentTime > 0.05")
    name = heading.inner_text()
    page.get_by_text("Embeddings").click()
    expect(page).to_have_url(re.compile("map=clips"))
    expect(page.locator(".legend .label")).not_to_have_text("Attribute it detects")
    wait_for_app(page)
    page.locator(".st-key-colour_choice").get_by_role("combobox").click()
    page.get_by_role("option", name="A latent's activation").click()
    expect(page.locator(".legend .label")).to_have_text(name)
    expect(page.locator(".legend .entry", has_text="silent")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [900, 1440])
def test_it_fits_and_follows_the_theme(visit, page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    visit()
    main = page.get_by_test_id("stMain")
    assert main.evaluate("node => node.scrollWidth <= node.clientWidth")
    background = stage(page).evaluate("node => getComputedStyle(node).backgroundColor")
    lightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert lightness > 200 if scheme == "light" else lightness < 60
    assert n_coloured(page) > 500


def test_without_webgl_it_says_so(page, map_address, wait_for_app):
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        "  return kind === 'webgl2' ? null : get.call(this, kind, ...rest); };"
    )
    page.goto(f"{map_address}/map")
    wait_for_app(page)
    expect(page.locator(".message")).to_contain_text("needs WebGL 2")
    expect(page.locator(".legend .entry").first).to_be_visible()
