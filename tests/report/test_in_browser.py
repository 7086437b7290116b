"""The page in a real browser: nothing runs, nothing is blocked, nothing sticks out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bulk.report import render_all
from tests.report.records import EPOCH, HOSTILE, MIXED, facts, hostile_results
from tests.tools import program

pytestmark = pytest.mark.browser
# Without these Chromium calls home at every start.
QUIET = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=QUIET, chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    results = [*MIXED, *hostile_results(HOSTILE)]
    files = dict(render_all(facts(sandbox=True), results, [], now=EPOCH).files)
    path = tmp_path / "report.html"
    path.write_bytes(files["report.html"])
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(path.as_uri())
    yield page
    assert complaints == []
    page.close()


def test_the_style_sheet_is_let_in_and_nothing_runs(page: Page) -> None:
    weight = page.evaluate("getComputedStyle(document.querySelector('.tile .number')).fontWeight")
    assert int(weight) >= 600
    assert page.evaluate("document.scripts.length") == 0


@pytest.mark.parametrize("width", [420, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(page: Page, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
