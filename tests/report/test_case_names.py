"""Cells have names that nobody can mix up, and plain batches have plain names."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.model import DeviceModel, FailureCode, Mode, Outcome, Platform, Trigger
from bulk.report import render_all, step_summary
from bulk.report.case_names import NAME_CHARACTERS_MAX, name_cases
from bulk.report.legible import look
from tests.properties import examples
from tests.report.records import HOSTILE, ID, T0, any_text, facts, failed

OTHER = "1fd1a3c2-5d3c-4a8e-9a53-0d6a6a1f0c12"
STAGING, LIVE = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "9b2d11f0-7425-40de-944b-e07fc1f90ae8"
RLO, PDI, RLI = "\u202e", "\u2069", "\u2067"


def cell(name: str = "Log in", test_id: str = ID, **changes: object) -> Trigger:
    fields: dict[str, object] = {"platform": Platform.WEB, "mode": Mode.FAST}
    return Trigger(test_id=test_id, name=name, **(fields | changes))  # type: ignore[arg-type]


def named(*triggers: Trigger) -> list[str]:
    names = name_cases(lambda: triggers)
    return [names.of(trigger).text for trigger in triggers]


# --- what stands in a name ------------------------------------------------------------------------


def test_a_name_is_test_platform_mode_and_device_if_these_tell_all_cells_apart() -> None:
    ipad = {"platform": Platform.IOS, "device_model": DeviceModel.IPAD, "environment_id": LIVE}
    assert named(
        cell(), cell(mode=Mode.DEEP), cell(**ipad), cell("", platform=None, mode=None)
    ) == [
        "Log in · web · fast",
        "Log in · web · deep",
        "Log in · ios · fast · ipad",
        ID,
    ]


def test_repetitions_are_numbered_from_the_second_on() -> None:
    assert named(cell(), cell(repetition=2)) == ["Log in · web · fast", "Log in · web · fast · #2"]


def test_ids_stand_only_in_the_names_of_cells_that_they_tell_apart() -> None:
    assert named(
        cell(environment_id=STAGING),
        cell(environment_id=LIVE),
        cell(environment_id=LIVE, repetition=2),
        cell("Log out", OTHER, environment_id=LIVE),
    ) == [
        "Log in · web · fast · environment 7c9e6679",
        "Log in · web · fast · environment 9b2d11f0",
        "Log in · web · fast · #2",
        "Log out · web · fast",
    ]


def test_every_id_in_which_alike_cells_differ_stands_in_their_names() -> None:
    assert named(
        cell(app_id=STAGING), cell(test_id=OTHER, app_id=LIVE), cell(environment_id=LIVE)
    ) == [
        "Log in · web · fast · test 0b9c3a54 · app 7c9e6679",
        "Log in · web · fast · test 1fd1a3c2 · app 9b2d11f0",
        "Log in · web · fast · test 0b9c3a54 · environment 9b2d11f0",
    ]


def test_ids_that_begin_alike_are_cut_later() -> None:
    ids = [
        "5a3b1e00-0000-4000-8000-000000000001",
        "5a3b1e00-0000-4000-8000-000000000002",
        "5a3b1e00-0001-4000-8000-000000000001",
        "6a3b1e00-0000-4000-8000-000000000001",
    ]
    assert [name.rpartition(" ")[2] for name in named(*(cell(test_id=id_) for id_ in ids))] == [
        ids[0],
        ids[1],
        "5a3b1e00-0001",
        "6a3b1e00",
    ]


def lookalike(own: tuple[tuple[str, str], ...] = ()) -> Trigger:
    """Another cell of the same test, shown as `cell()` is."""
    return cell("Log in · web", platform=None, own=own)


def test_own_columns_tell_cells_apart_if_no_id_does() -> None:
    first = cell(own=(("owner", "Ana"), ("team", "a"), ("area", "x")))
    second = lookalike(own=(("owner", "Ana"), ("team", "b"), ("area", "y")))
    assert named(first, second) == [
        "Log in · web · fast · team a",
        "Log in · web · fast · team b",
    ]


def test_the_key_tells_cells_apart_if_nothing_else_does() -> None:
    first, second = cell(), lookalike()
    assert named(first, second) == [
        f"Log in · web · fast · {first.key}",
        f"Log in · web · fast · {second.key}",
    ]


def test_a_name_that_imitates_another_cells_ids_or_key_gets_more() -> None:
    first, second = cell(environment_id=STAGING), cell(environment_id=LIVE)
    imitated = f"{named(first, second)[0]}"
    third = cell(imitated, OTHER, platform=None, mode=None)
    keyed = named(first, second, third)[0]
    fourth = cell(keyed, OTHER, platform=None, mode=Mode.DEEP, repetition=1)
    fifth = cell(keyed, OTHER, platform=None, mode=None)
    names = named(first, second, third, fourth, fifth)
    assert keyed != imitated
    assert len({look(name) for name in names}) == 5


# --- names that look alike ------------------------------------------------------------------------

ALIKE = {
    "a zero-width space": "Log\u200b in",
    "a direction mark": "Log in\u200e",
    "a direction control": "Log\u202d in",
    "an isolate": "Log\u2068 in\u2069",
    "a control character": "Log in\x07",
    "a C1 control character": "Log in\x9b",
    "a lone surrogate": "Log in\udc80",
    "a non-character": "Log in\uffff",
    "a soft hyphen": "Log\u00ad in",
    "a variation selector": "Log in\ufe0f",
    "a tag character": "Log in\U000e0041",
    "a Hangul filler": "Log in\u3164",
    "a grapheme joiner": "Log in\u034f",
    "spaces around": "  Log in ",
    "two spaces": "Log  in",
    "a no-break space": "Log\u00a0in",
    "an empty braille cell": "Log\u2800in",
    "a line end": "Log\nin",
    "a line separator": "Log\u2028in",
    "wide letters": "Ｌog in",
}


@pytest.mark.parametrize("other", ALIKE.values(), ids=ALIKE)
def test_names_that_look_alike_get_their_test_ids(other: str) -> None:
    plain, odd = named(cell(), cell(other, OTHER))
    assert plain == "Log in · web · fast · test 0b9c3a54"
    assert odd.endswith(" · web · fast · test 1fd1a3c2")


def test_normal_forms_of_one_name_look_alike() -> None:
    composed, decomposed = (unicodedata.normalize(form, "régression") for form in ("NFC", "NFD"))
    assert [name[-13:] for name in named(cell(composed), cell(decomposed, OTHER))] == [
        "test 0b9c3a54",
        "test 1fd1a3c2",
    ]


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\u2800", "\x00", "\u202e"])
def test_a_test_whose_name_shows_nothing_is_called_by_its_id(blank: str) -> None:
    assert named(cell(blank)) == [f"{ID} · web · fast"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("x" * 9_000 + "1", "x" * 9_000 + "2"), ("1" + "x" * 9_000, "2" + "x" * 9_000)],
)
def test_long_names_are_cut_in_the_middle(first: str, second: str) -> None:
    names = named(cell(first), cell(second, OTHER))
    assert all(len(name) <= NAME_CHARACTERS_MAX for name in names)
    assert [name[0] for name in names] == [first[0], second[0]]
    assert all("…" in name and name.endswith(" · web · fast") for name in names)
    assert "test" not in names[0], "what is left of them tells them apart"


def test_long_names_that_differ_where_they_are_cut_get_their_test_ids() -> None:
    first, second = "x" * 4_000 + "1" + "x" * 4_000, "x" * 4_000 + "2" + "x" * 4_000
    names = named(cell(first), cell(second, OTHER))
    assert [name[-13:] for name in names] == ["test 0b9c3a54", "test 1fd1a3c2"]
    assert all(len(name) <= NAME_CHARACTERS_MAX for name in names)


uuids = st.sampled_from([ID, OTHER, STAGING, LIVE, f"{ID[:-1]}2", f"{ID[:8]}{OTHER[8:]}"])
cells = st.builds(
    Trigger,
    test_id=uuids,
    platform=st.sampled_from([None, Platform.WEB]),
    mode=st.sampled_from([None, Mode.FAST]),
    app_id=st.none() | uuids,
    environment_id=st.none() | uuids,
    repetition=st.integers(1, 3),
    name=st.sampled_from([*ALIKE.values(), "Log in", "Log in · web", "", f"Log in · test {ID[:8]}"])
    | any_text,
    own=st.lists(st.tuples(st.sampled_from(["owner", "x" * 99]), any_text), max_size=2).map(tuple),
)
batches = st.lists(cells, min_size=1, max_size=12, unique_by=lambda trigger: trigger.key)


@pytest.mark.long
@given(triggers=batches)
@settings(deadline=None, max_examples=examples(300))
def test_no_two_cells_of_a_batch_have_names_that_look_alike(triggers: list[Trigger]) -> None:
    names = named(*triggers)
    assert len({look(name) for name in names}) == len(triggers)
    assert all(len(name) <= NAME_CHARACTERS_MAX for name in names)
    assert all(name.isprintable() or look(name) for name in names)


# --- names do not reach beyond themselves ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (f"{RLO}fast", f"\u2068{RLO}fast\u2069"),
        ("כניסה", "\u2068כניסה\u2069"),
        (f"a{PDI}{RLO}b", f"\u2068a{RLO}b\u2069"),
        (f"a{RLI}b{RLI}c{PDI}d", f"\u2068ab{RLI}c{PDI}d\u2069"),
        ("Café 🚀", "Café 🚀"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_direction_controls_are_shut_in_between_isolates(name: str, shown: str) -> None:
    assert named(cell(name)) == [f"{shown} · web · fast"]


@given(text=st.text(st.sampled_from(["a", "\u05d0", RLO, RLI, PDI, "\u2066", "\u2068", "\u202c"])))
@settings(deadline=None, max_examples=examples(300))
def test_no_name_ends_its_isolate_early_or_leaves_it_open(text: str) -> None:
    (name,) = named(cell(text))
    own, _, rest = name.rpartition(" · web")
    depths, depth = [], 0
    for char in own:
        depth += (char in "\u2066\u2067\u2068") - (char == PDI)
        depths.append(depth)
    assert rest == " · fast"
    if any(char in own for char in f"\u05d0{RLO}{RLI}{PDI}"):
        assert own.startswith("\u2068")
        assert (min(depths[:-1]), depths[-1]) == (1, 0)


# --- all reports call a cell the same -------------------------------------------------------------


def test_every_report_names_a_cell_alike() -> None:
    triggers = [cell(environment_id=STAGING), cell(environment_id=LIVE)]
    results = [
        failed(1, Outcome.UNKNOWN, FailureCode.READ_TIMEOUT, trigger=trigger, message=None)
        for trigger in triggers
    ]
    of = render_all(facts(), results, [], now=T0)
    files = dict(of.files)
    junit = ElementTree.fromstring(files["data/junit.xml"])
    page = files["report.html"].decode()
    for trigger, short, case in zip(triggers, ("7c9e6679", "9b2d11f0"), junit[0], strict=True):
        name = f"Log in · web · fast · environment {short}"
        assert of.names.of(trigger).text == case.get("name") == name
        assert f"<bdi>Log in</bdi> · web · fast · <bdi>environment {short}</bdi>" in page
        assert f"<bdi>Log in</bdi> <small><bdi>environment {short}</bdi></small>" in page
        assert f"| {name} |" in step_summary(facts(), of.summary, results, of.names)


def test_the_terminal_gets_no_control_character() -> None:
    for text in named(*(cell(name, repetition=n) for n, name in enumerate(HOSTILE, 1))):
        assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in text)
