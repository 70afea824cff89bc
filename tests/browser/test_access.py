"""What people need who do not see the page, or not in colour, or have no mouse: on every page, in light and dark."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

PAGES = [
    "",
    "latents?latent=2",
    "clips",
    "map",
    "match",
    "probe",
    "sweep",
    "movement",
    "universality",
    "steering",
    "erasure",
    "verification",
    "verification?part=Fairness",
    "build",
    "data_check",
    "notes",
]
WIDTHS = (1440, 900, 390)
GRAVE = {"serious", "critical"}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
STATUS = "[role=status].voxscope-status"
OVERFLOWING = """() => [...document.querySelectorAll('[data-testid=stMain], .stBidiComponent')]
    .filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.outerHTML.slice(0, 200))"""
CARD = "node => getComputedStyle(node).backgroundColor"
CANVAS = ".st-key-latents_table canvas"


def violations(page: Page, rules: list[str], *, colours: bool = True) -> list[str]:
    """What axe-core finds on the page as it stands, the rule and the first element; headings out of order among it.
    colours: contrast too, which takes longer than all else and is the same at every width."""
    options = {
        "resultTypes": ["violations"],
        "runOnly": rules,
        "rules": {"color-contrast": {"enabled": colours}},
    }
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {rule['nodes'][0]['html'][:200]}"
        for rule in found
        if rule["impact"] in GRAVE or rule["id"] == "heading-order"
    ]


def overflowing(page: Page) -> list[str]:
    """What is wider than its place once charts have followed the new width."""
    found: list[str] = []
    for _ in range(15):
        page.wait_for_timeout(400)
        found = page.evaluate(OVERFLOWING)
        if not found:
            break
    return found


def test_no_page_has_serious_findings_and_all_fit_in_light_and_dark(visit, page):
    problems = []
    for path in PAGES:
        name = path or "overview"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        visit(path)
        expect(page).to_have_title(re.compile(r"^\w[\w ]+ · VoxScope$"))
        problems += [f"{name}: {line}" for line in violations(page, RULES)]
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(400)
        problems += [f"{name}, dark: {line}" for line in violations(page, ["color-contrast"])]
        for card in page.locator(".card").all()[:1]:
            assert sum(map(int, re.findall(r"\d+", card.evaluate(CARD))[:3])) < 180
        for width in WIDTHS[1:]:
            page.set_viewport_size({"width": width, "height": 900})
            problems += [f"{name}, {width} px: {html}" for html in overflowing(page)]
        problems += [f"{name}, {WIDTHS[-1]} px: {line}" for line in violations(page, RULES, colours=False)]
    assert not problems, "\n".join(problems)


def test_a_table_answers_to_keys_and_what_is_opened_is_announced(visit, wait_for_app):
    page = visit("latents?order=Number&latent=0")
    heading = page.locator(".st-key-latent_heading h2")
    expect(page.locator("[data-row-of=latents_table]")).to_have_attribute("data-row", "0")
    page.locator(CANVAS).first.focus()
    page.keyboard.press("ArrowDown")
    expect(heading).to_contain_text("Latent #1")
    expect(page.locator(STATUS)).to_contain_text("Latent #1")
    wait_for_app(page)
    page.keyboard.press("PageDown")
    expect(heading).to_contain_text("Latent #8")
    wait_for_app(page)
    page.keyboard.press("End")
    expect(heading).to_contain_text("Latent #63")
    assert (
        page.get_by_test_id("stMain").evaluate("node => node.scrollTop") == 0
    )  # keys do not scroll the page
    unnamed = page.locator("button[aria-label=Help]")
    expect(unnamed).to_have_count(0)


def test_next_follows_the_order_on_screen_once_a_header_sorted_it(visit, wait_for_app, click_row):
    page = visit("latents?order=Number&latent=0")
    heading = page.locator(".st-key-latent_heading h2")
    canvas = page.locator(CANVAS).first
    box = canvas.bounding_box()
    for _ in range(2):  # up, then down
        page.mouse.click(box["x"] + 60, box["y"] + 18)
        wait_for_app(page)
    click_row(page, "latents_table", row=0)
    expect(heading).to_contain_text("Latent #63")
    wait_for_app(page)
    page.locator(".st-key-step_next_of_latents_table button").click()
    expect(heading).to_contain_text("Latent #62")


def test_one_press_of_back_is_one_step_and_keeps_the_place(visit, wait_for_app):
    page = visit("latents")
    heading = page.locator(".st-key-latent_heading h2")
    first = heading.inner_text()
    page.locator(".st-key-step_next_of_latents_table button").click()
    expect(heading).not_to_have_text(first)
    second = heading.inner_text()
    wait_for_app(page)
    page.get_by_test_id("stMain").evaluate("node => node.scrollTop = 600")
    page.get_by_role("link", name="Clips").first.click()
    expect(page.get_by_role("heading", name="Clips", level=1)).to_be_visible()
    wait_for_app(page)
    page.go_back()
    expect(heading).to_have_text(second)
    page.wait_for_function(
        "() => Math.abs(document.querySelector('[data-testid=stMain]').scrollTop - 600) < 5"
    )
    page.go_back()
    expect(heading).to_have_text(first)
