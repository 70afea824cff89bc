"""From a zip to the sound of a latent: uploaded, built by a process of its own, opened beside another workspace."""

import csv
import io
import os
import re
import shutil
import zipfile

import pytest
from playwright.sync_api import Page, expect

BUILD_TIMEOUT_MS = 180_000


@pytest.fixture
def site(small_workspace, tmp_path):
    """The workspace `first` in a folder of workspaces, in which others may be built."""
    folder = tmp_path / "workspaces" / "first"
    shutil.copytree(small_workspace, folder, copy_function=os.link)
    return folder


@pytest.fixture
def calls(small_workspace):
    """A zip of 60 short recordings by 12 voices, with a table of labels."""
    stream, lines = io.BytesIO(), io.StringIO()
    table = csv.writer(lines)
    table.writerow(["audio_path", "speaker_id", "language"])
    with zipfile.ZipFile(stream, "w") as archive:
        for number, file in enumerate(sorted(small_workspace.rglob("*.wav"))[:60]):
            archive.write(file, f"calls/{file.name}")
            table.writerow([file.name, f"voice {number % 12}", ("es", "fr")[number % 2]])
        archive.writestr("calls/labels.csv", lines.getvalue())
    return {"name": "calls.zip", "mimeType": "application/zip", "buffer": stream.getvalue()}


@pytest.mark.slow
def test_from_a_zip_to_the_sound_of_a_latent(page: Page, serve, site, calls, wait_for_app):
    address = serve(site)
    page.goto(f"{address}/build?from=zip")
    expect(page.locator("input[type=file]")).to_be_attached(timeout=60_000)  # the first visit loads torch
    wait_for_app(page)
    page.locator("input[type=file]").set_input_files(calls)
    expect(page.get_by_text("60 (60 wav)")).to_be_visible()
    page.get_by_text("GE2E", exact=True).click()
    page.get_by_text("Only one").click()
    wait_for_app(page)
    page.locator(".st-key-build_start button").click()
    expect(page.locator(".st-key-build_head")).to_contain_text("running")
    expect(page).to_have_url(re.compile("job=calls"))
    page.close()  # the build does not need anybody to watch

    page = page.context.new_page()
    page.goto(f"{address}/build?job=calls")
    expect(page.locator(".st-key-build_head")).to_contain_text("finished", timeout=BUILD_TIMEOUT_MS)
    expect(page.get_by_text("60 clips", exact=True)).to_be_visible()
    page.get_by_text("Open calls").click()
    expect(page.get_by_role("heading", name="Hear what")).to_be_visible()
    wait_for_app(page)
    assert "workspace=calls" in page.url
    expect(page.get_by_role("combobox", name="Workspace")).to_have_value("calls")
    page.get_by_role("link", name="Latents", exact=True).click()
    expect(page.get_by_role("heading", name="Latent #")).to_be_visible()
    wait_for_app(page)
    assert "workspace=calls" in page.url
    page.locator(".st-key-clips_strongest .play").first.click()
    page.wait_for_function(
        "() => !window.__voxscopePlayer.audio.paused && window.__voxscopePlayer.audio.currentTime > 0"
    )
