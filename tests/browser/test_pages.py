"""The pages as people use them: sort, choose, listen, follow links, in light and dark."""

import re

from playwright.sync_api import Page, expect

HEADING = ".st-key-latent_heading h2"
PLAYER = "window.__voxscopePlayer"


def sounding(page: Page) -> dict[str, object]:
    """What the page's one player is doing now."""
    return page.evaluate(
        f"() => ({{url: {PLAYER}.url, paused: {PLAYER}.audio.paused, at: {PLAYER}.audio.currentTime}})"
    )


def test_a_clip_plays_at_once_and_alone(visit):
    page = visit("latents")
    strongest = page.locator(".st-key-clips_strongest .play")
    middle = page.locator(".st-key-clips_middle .play")
    expect(strongest.first).to_be_enabled()
    strongest.first.click()
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0.2")
    first = sounding(page)
    expect(strongest.first).to_have_attribute("aria-pressed", "true")
    middle.nth(1).click()
    page.wait_for_function(
        f"url => {PLAYER}.url !== url && {PLAYER}.audio.currentTime > 0.2", arg=first["url"]
    )
    expect(strongest.first).to_have_attribute("aria-pressed", "false")
    expect(middle.nth(1)).to_have_attribute("aria-pressed", "true")
    assert (
        page.evaluate("() => document.querySelectorAll('audio').length") == 0
    )  # the one player stands alone
    middle.nth(1).click()
    page.wait_for_function(f"() => {PLAYER}.audio.paused")


def test_a_click_into_the_picture_moves_there(visit):
    page = visit("latents")
    picture = page.locator(".st-key-clips_strongest .picture").first
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.5, "y": box["height"] / 2})
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0 && !{PLAYER}.audio.seeking")
    share = page.evaluate(f"() => {PLAYER}.audio.currentTime / {PLAYER}.audio.duration")
    assert 0.4 < share < 0.95


def test_clips_play_from_the_keyboard(visit):
    page = visit("latents")
    buttons = page.locator(".st-key-clips_strongest .play")
    buttons.first.focus()
    page.keyboard.press("ArrowRight")
    expect(buttons.nth(1)).to_be_focused()
    page.keyboard.press("Space")
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0.1")


def test_a_playing_clip_survives_a_rerun_and_stops_with_its_page(visit, wait_for_app):
    page = visit("latents")
    page.locator(".st-key-clips_strongest .play-all").click()
    page.wait_for_function(f"() => {PLAYER}.audio.currentTime > 0.1")
    page.locator(".st-key-q input").press_sequentially("s")
    expect(page).to_have_url(re.compile("[?&]q=s"))
    wait_for_app(page)
    assert not sounding(page)["paused"]
    page.get_by_role("link", name="Overview").first.click()
    expect(page.locator(".st-key-striking .card").first).to_be_visible()
    page.wait_for_function(f"() => {PLAYER}.audio.paused")


def test_sorting_and_choosing_in_the_table(visit, wait_for_app, click_row):
    page = visit("latents")
    before = page.locator(HEADING).inner_text()
    click_row(page, "latents_table", row=3)
    expect(page.locator(HEADING)).not_to_have_text(before)
    latent = re.search(r"#(\d+)", page.locator(HEADING).inner_text())
    assert latent is not None
    expect(page).to_have_url(re.compile(rf"latent={latent[1]}\b"))
    page.locator(".st-key-order").get_by_role("combobox").click()
    page.get_by_role("option", name="Number").click()
    expect(page).to_have_url(re.compile("order=Number"))
    wait_for_app(page)
    # the table keeps the chosen latent in sight, wherever the new order puts it
    box = page.locator(".st-key-latents_table canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 120)
    page.mouse.wheel(0, -5_000)
    page.wait_for_timeout(500)
    click_row(page, "latents_table", row=0)
    expect(page.locator(HEADING)).to_contain_text("Latent #0")


def test_a_row_of_the_clips_table_opens_its_clip(visit, click_row):
    page = visit("clips")
    title = page.locator(".st-key-chosen_clip .title")
    before = title.inner_text()
    click_row(page, "clips_table", row=3)
    expect(title).not_to_have_text(before)


def test_a_row_of_the_verification_table_opens_its_latent(visit, click_row):
    page = visit("verification")
    click_row(page, "identity_table", row=1)
    expect(page.locator(HEADING)).to_contain_text("Latent #")


def test_evidence_and_filters_stand_in_the_address(visit, wait_for_app, page, app_address):
    visit("latents?latent=9")
    page.get_by_text("Seen speakers", exact=True).click()
    # the address is written once a rerun ends: words typed before that could be missing from it for a moment
    expect(page).to_have_url(re.compile("evidence="))
    wait_for_app(page)
    page.locator(".st-key-q input").press_sequentially("a")
    expect(page).to_have_url(re.compile("q=a"))
    wait_for_app(page)
    expect(page).to_have_url(re.compile("evidence=.*latent=9.*q=a"))
    footer = page.locator(".st-key-latent_footer")
    expect(footer).not_to_contain_text("64 of 64 latents")
    count = footer.inner_text()
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    wait_for_app(page)
    expect(page.locator(".st-key-q input")).to_have_value("a")
    expect(footer).to_have_text(count, use_inner_text=True)
    expect(page.locator(HEADING)).to_contain_text("Latent #9")


def test_links_lead_from_overview_to_latent_to_clip_and_back(visit):
    page = visit()
    card = page.locator(".st-key-striking a.title").nth(1)
    name = re.search(r"#\d+", card.inner_text())
    assert name is not None
    card.click()
    expect(page.locator(HEADING)).to_contain_text(f"Latent {name[0]}")
    clip = page.locator(".st-key-clips_strongest a.title").first
    clip_id = clip.inner_text()
    clip.click()
    expect(page.locator(".st-key-chosen_clip .title")).to_have_text(clip_id)
    expect(page).to_have_url(re.compile("clip="))
    page.locator(".st-key-nearest_clips a.title").first.click()
    expect(page.locator(".st-key-chosen_clip .title")).not_to_have_text(clip_id)
    bar = page.locator(".st-key-active_latents a.name").first
    name = re.search(r"#\d+", bar.inner_text())
    assert name is not None
    bar.click()
    expect(page.locator(HEADING)).to_contain_text(f"Latent {name[0]}")
    page.locator(".st-key-near_by_cosine a.name").first.click()
    expect(page.locator(HEADING)).not_to_contain_text(f"Latent {name[0]} ")


def test_a_stem_of_the_method_figure_opens_its_latent(visit):
    page = visit()
    stem = page.locator(".st-key-method_figure a.stem").first
    number = re.search(r"#\d+", stem.get_attribute("aria-label") or "")
    assert number is not None
    stem.focus()
    stem.locator(".name").click()
    expect(page.locator(HEADING)).to_contain_text(f"Latent {number[0]}")


def test_a_cold_server_frames_a_deep_link(serve, small_workspace, page, wait_for_app):
    page.goto(f"{serve(small_workspace)}/latents?latent=3")
    wait_for_app(page)
    expect(page.locator(HEADING)).to_contain_text("Latent #3")
    expect(page.get_by_role("link", name="Overview").first).to_be_visible()
    expect(page.get_by_text("app", exact=True)).to_have_count(0)


def test_no_request_can_name_a_file(visit, app_address):
    page = visit("latents")
    page.locator(".st-key-clips_strongest .play").first.click()
    page.wait_for_function(f"() => {PLAYER}.url !== null")
    assert re.fullmatch(r"/media/[0-9a-f]{16,}\.\w+", str(sounding(page)["url"]))
    for path in ("media/%2e%2e%2fclips.parquet", "app/static/clips.parquet", "clips.parquet", "media/0"):
        answer = page.request.get(f"{app_address}/{path}")
        assert answer.status >= 400 or answer.headers["content-type"].startswith("text/html")
        assert not answer.body().startswith(b"PAR1")
