"""The page in a real browser: no script runs, nothing is blocked, nothing overflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bulk.model import FailureCode, Mode, Outcome, Platform
from bulk.report import render_all
from tests.programs import require_program
from tests.report.records import HOSTILE, MIXED, RUN, T0, facts, failed, hostile_results, trigger

pytestmark = pytest.mark.browser
# Without these, Chromium contacts its vendor at every start.
QUIET = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = require_program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=QUIET, chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    results = [*MIXED, *hostile_results(HOSTILE)]
    files = dict(render_all(facts(sandbox=True), results, [], now=T0).files)
    path = tmp_path / "report.html"
    path.write_bytes(files["report.html"])
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.goto(path.as_uri())
    yield page
    assert messages == []
    page.close()


def test_the_style_sheet_is_allowed_and_no_script_runs(page: Page) -> None:
    weight = page.evaluate("getComputedStyle(document.querySelector('.tile .number')).fontWeight")
    assert int(weight) >= 600
    assert page.evaluate("document.scripts.length") == 0


@pytest.mark.parametrize("width", [420, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_at_any_width(page: Page, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


PLACES = """item => {
    const place = (text) => {
        const walker = document.createTreeWalker(item, NodeFilter.SHOW_TEXT)
        while (walker.nextNode()) {
            const start = walker.currentNode.data.indexOf(text)
            if (start < 0) continue
            const range = document.createRange()
            range.setStart(walker.currentNode, start)
            range.setEnd(walker.currentNode, start + text.length)
            return range.getBoundingClientRect().left
        }
    }
    return [item.querySelector("bdi").getBoundingClientRect().left,
            place("android"), place("fast"), place("because"), place("run")]
}"""


@pytest.mark.parametrize(
    "name",
    ["plain", "\u202eplain", "כניסה", "a\u2069\u202eb", "\u2067\u202ea", "\u202e\u2069\u2069"],
)
def test_a_names_direction_ends_with_the_name(browser: Browser, name: str) -> None:
    cell = trigger(name=name, platform=Platform.ANDROID, device_model=None, mode=Mode.FAST)
    why = "\u2069because\u202e"
    result = failed(
        1, Outcome.UNKNOWN, FailureCode.READ_TIMEOUT, trigger=cell, message=why, candidates=("run",)
    )
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_content(dict(render_all(facts(), [result], [], now=T0).files)["report.html"].decode())
    places = page.eval_on_selector(".group li", PLACES)
    assert None not in places
    assert places == sorted(places)
    page.close()


# What Jenkins sends with every archived file, unless an administrator changed it.
JENKINS_POLICY = "sandbox; default-src 'none'; img-src 'self'; style-src 'self';"


def test_a_server_that_blocks_the_style_sheet_shows_the_whole_text(browser: Browser) -> None:
    body = dict(render_all(facts(), MIXED, [], now=T0).files)["report.html"]
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": JENKINS_POLICY,
    }
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.route("**/*", lambda route: route.fulfill(body=body, headers=headers))
    page.goto("http://ci.invalid/report.html")
    assert page.evaluate("getComputedStyle(document.body).maxWidth") == "none", "styles apply"
    shown = page.inner_text("body")
    for words in ("1 of 6 triggered", "2 unsent", "The server knows no such test.", RUN[:-4]):
        assert words in shown, words
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.close()
