"""Notes in a real browser: a label written on a latent stands in the table after a reload."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

HEADING = ".st-key-latent_heading h2"


@pytest.fixture
def own_address(serve, small_workspace, tmp_path: Path) -> str:
    """The app on a copy that may be written to."""
    return serve(Path(shutil.copytree(small_workspace, tmp_path / "workspace")))


def test_a_label_is_written_seen_by_others_and_found(page, own_address, wait_for_app, click_row):
    page.goto(f"{own_address}/latents?latent=7")
    row = page.locator(".st-key-notes_row")
    for name, words in (("Your name", "Ana"), ("Label", "<b>hold</b> *music*")):
        field = row.get_by_role("textbox", name=name, exact=True)
        field.fill(words)
        field.press("Enter")
        wait_for_app(page)
    expect(page.locator(HEADING)).to_contain_text("Latent #7 · “<b>hold</b> *music*”")
    expect(row.get_by_role("textbox", name="Label", exact=True)).to_have_value("<b>hold</b> *music*")
    page.goto(f"{own_address}/latents?latent=7&q=hold")
    wait_for_app(page)
    expect(page.locator(HEADING)).to_contain_text("“<b>hold</b> *music*”")
    expect(page.locator(".st-key-latent_footer")).to_contain_text("1 of 64 latents")
    expect(row.get_by_role("textbox", name="Your name", exact=True)).to_have_value("")
    page.goto(f"{own_address}/notes")
    wait_for_app(page)
    click_row(page, "notes_table", row=0)
    expect(page.locator(HEADING)).to_contain_text("Latent #7")
