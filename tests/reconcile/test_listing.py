"""Pages of runs, hostile ones too, and whether a listing is evidence."""

from __future__ import annotations

import json
import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.reconcile.listing import PAGES_MAX, KnownRun, Listing
from bulk.reconcile.run_page import ListedRun, RunPage, read_page
from bulk.reconcile.server_clock import CreationWindow

RUN = "0b9c3a54-5d3c-4a8e-9a53-0d6a6a1f0c11"
TEST = "5a3b1e00-0000-4000-8000-0000000000aa"


def run_id(number: int) -> str:
    return str(UUID(int=(4 << 76) + (8 << 60) + number))


def page(*ages: float, cursor: str | None = None, first: int = 0) -> RunPage:
    runs = [ListedRun(run_id(first + n), TEST, created_at=at) for n, at in enumerate(ages)]
    return RunPage(tuple(runs), cursor)


def test_every_field_of_a_page_is_read() -> None:
    row = {
        "id": RUN.upper(),
        "testId": TEST,
        "platform": "ios",
        "deviceModel": "ipad",
        "executionMode": "deep",
        "source": "api",
        "input": {"appId": "A", "projectEnvironmentId": None},
        "createdAt": "2026-11-25T10:00:00.250Z",
    }
    found = read_page(json.dumps({"runs": [row], "nextCursor": "c"}).encode())
    assert found is not None
    assert found.whole
    assert found.next_cursor == "c"
    (run,) = found.runs
    assert run == ListedRun(RUN, TEST, "ios", "deep", "ipad", "a", None, "api", 1_795_600_800.25)


@pytest.mark.parametrize("row", [None, 7, {}, {"id": None}, {"id": "x"}, {"id": ["a"]}])
def test_a_page_with_a_row_that_cannot_be_read_is_not_evidence(row: object) -> None:
    found = read_page(json.dumps({"runs": [{"id": RUN}, row]}).encode())
    assert found is not None
    assert not found.whole
    assert [run.run_id for run in found.runs] == [RUN]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"runs": {}}', b"\xff", b"[" * 100_000, b"{}"])
def test_a_body_that_is_not_a_page_is_none(body: bytes) -> None:
    assert read_page(body) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@pytest.mark.parametrize("cursor", ["\udcff", "a\nb", "c" * 100_000])
def test_a_list_with_a_cursor_that_cannot_be_sent_is_not_evidence(cursor: str) -> None:
    found = read_page(json.dumps({"runs": [], "nextCursor": cursor}).encode())
    assert found is not None
    assert (found.next_cursor, found.whole) == (None, False)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "testId", "input", "createdAt", "platform", "source"]),
            JSON | st.just(RUN) | st.just("9999-12-31T23:59:59+23:59") | st.just("0001-01-01"),
        )
    ),
    JSON,
)
def test_no_page_crashes(rows: list[dict[str, object]], cursor: object) -> None:
    found = read_page(json.dumps({"runs": rows, "nextCursor": cursor}).encode())
    assert found is not None


def test_a_listing_is_complete_if_it_ends_or_goes_back_far_enough() -> None:
    listing = Listing(TEST, since=50.0)
    assert listing.add(page(100.0, 90.0, cursor="a")) == "a"
    assert listing.add(page(80.0, 30.0, cursor="b", first=2)) is None
    assert listing.complete
    other = Listing(TEST, since=50.0)
    assert other.add(page(100.0, 90.0)) is None
    assert other.complete
    assert (listing.reaches, other.reaches) == (50.0, -math.inf)


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([page(100.0, cursor="a"), page(90.0, cursor="a", first=1)], "repeats"),
        ([page(cursor="a")], "repeats"),
        ([page(100.0, cursor="a"), page(200.0, cursor="b", first=1)], "order"),
        ([RunPage((), None, whole=False)], "cannot be read"),
    ],
)
def test_a_listing_with_a_gap_is_not_evidence(pages: list[RunPage], why: str) -> None:
    listing = Listing(TEST, since=0.0)
    for one in pages:
        following = listing.add(one)
    assert following is None
    assert not listing.complete
    assert why in listing.why_not


def test_an_endless_list_is_given_up() -> None:
    listing = Listing(None, since=0.0)
    for number in range(PAGES_MAX + 1):
        following = listing.add(page(1e9 - number, cursor=str(number), first=number))
    assert following is None
    assert "longer than" in listing.why_not


def test_a_listing_is_evidence_if_it_shows_the_runs_known_to_be_ours() -> None:
    listing = Listing(TEST, since=50.0)
    listing.add(page(100.0, 90.0))
    shown = KnownRun(run_id(0), TEST, CreationWindow(60.0, 70.0))
    hidden = KnownRun(run_id(9), TEST, CreationWindow(60.0, 70.0))
    before = KnownRun(run_id(9), TEST, CreationWindow(40.0, 70.0))
    another = KnownRun(run_id(9), run_id(8), CreationWindow(60.0, 70.0))
    assert listing.lacks([shown, before, another]) == ""
    assert "1 of 2" in listing.lacks([shown, hidden])
    assert "0 of 0" in listing.lacks([before])
    assert "0 of 0" in listing.lacks([])


def test_pages_become_smaller_if_answers_are_too_large() -> None:
    listing = Listing(TEST, since=0.0)
    assert "limit=100" in listing.query(None)
    assert listing.smaller()
    assert "limit=25" in listing.query("x y")
    assert "cursor=x+y" in listing.query("x y")
    assert listing.smaller()
    assert listing.smaller()
    assert not listing.smaller()
