"""The Sweep page in a real browser: points and cells open the latent they stand for."""

import re

import pytest
from playwright.sync_api import expect

HEADING = ".st-key-latent_heading h2"


def test_a_cell_of_the_grid_opens_its_sae_at_its_latent(visit):
    page = visit("sweep")
    cell = page.locator(".st-key-grid_cells a.cell").last
    address = cell.get_attribute("href") or ""
    wanted = re.search(r"sae=([\w-]+)&latent=(\d+)", address)
    assert wanted is not None
    cell.click()
    expect(page.locator(HEADING)).to_contain_text(f"Latent #{wanted[2]}")
    expect(page).to_have_url(re.compile(f"sae={wanted[1]}"))


def test_points_open_their_latent_and_coming_back_opens_nothing(visit, wait_for_app):
    page = visit("sweep")
    for figure in ("sweep_lines", "sweep_trade_off"):
        point = page.locator(f".st-key-{figure} .scatterlayer .point").first
        expect(point).to_be_visible()
        place = point.bounding_box()
        assert place is not None
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        expect(page.locator(HEADING)).to_contain_text(re.compile(r"Latent #\d+"))
        page.go_back()
        expect(point).to_be_visible()
        wait_for_app(page)
        expect(page).to_have_url(re.compile("/sweep"))


def test_choices_stand_in_the_address_and_survive_a_change_of_page(visit, wait_for_app):
    page = visit("sweep")
    page.get_by_text("AUROC", exact=True).click()
    expect(page).to_have_url(re.compile("measure=AUROC"))
    page.get_by_text("Dead fraction", exact=True).click()
    expect(page).to_have_url(re.compile("cells=Dead"))
    wait_for_app(page)
    page.get_by_role("link", name="Clips").first.click()
    expect(page.locator(".st-key-chosen_clip")).to_be_visible()
    page.get_by_role("button", name="Compare SAEs").click()
    page.get_by_role("menuitem", name="Sweep").click()
    expect(page.locator(".st-key-grid_cells")).to_be_visible()
    expect(page.locator(".st-key-measure").get_by_role("radio", name="AUROC")).to_be_checked()


@pytest.mark.parametrize(
    ("path", "width", "scheme"),
    [("sweep", 900, "dark"), ("movement", 900, "light"), ("movement", 1440, "dark")],
)
def test_pages_fit(visit, page, path, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    visit(path)
    expect(page.locator(".st-key-grid_cells table, .st-key-movement_groups table").first).to_be_visible()
    assert page.get_by_test_id("stMain").evaluate("node => node.scrollWidth <= node.clientWidth")
