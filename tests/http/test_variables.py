"""Which variables are taken for ones that were meant to be read."""

from __future__ import annotations

import pytest

from bulk.http.variables import BASE_URL_VARIABLE, KEY_VARIABLE, meant_as

KEYS = [
    "TESTER_ARMY_API_KEY",
    "TESTERARMY_KEY",
    "TESTERARMY_TOKEN",
    "TESTERARMY_API_TOKEN",
    "TESTERARMY_APIKEY",
    "testerarmy_api_key",
    "TESTARMY_API_KEY",
    "TESTERSARMY_API_KEY",
    "TESTERARMY_API_KYE",
    "TESTERARMY_API_KEY_FILE",
    "TESTERARMY-API-KEY",
]
URLS = [
    "TESTER_ARMY_BASE_URL",
    "TESTERARMY_URL",
    "TESTERARMY_BASEURL",
    "TESTERARMY_API_BASE",
    "TESTERARMY_API_URL",
    "TESTERARMY_ENDPOINT",
    "testerarmy_base_url",
]
OTHERS = [
    KEY_VARIABLE,
    BASE_URL_VARIABLE,
    "TESTERARMY_PROJECT_ID",
    "TESTERARMY_WEBHOOK_URL",
    "TESTERARMY_ENV",
    "API_KEY",
    "BASE_URL",
    "ARMY_KEY",
    "_",
    "",
]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(KEYS, (True, False)), (URLS, (False, True)), (OTHERS, (False, False))],
    ids=["keys", "addresses", "others"],
)
def test_a_variable_is_taken_for_the_one_it_resembles(
    names: list[str], expected: tuple[bool, bool]
) -> None:
    for name in names:
        set_so = {name: "x"}
        found = (bool(meant_as(KEY_VARIABLE, set_so)), bool(meant_as(BASE_URL_VARIABLE, set_so)))
        assert found == expected, name


def test_a_variable_that_is_empty_means_nothing() -> None:
    assert meant_as(KEY_VARIABLE, {"TESTER_ARMY_API_KEY": " "}) == []


def test_all_of_them_are_named_in_order() -> None:
    both = {"TESTER_ARMY_API_KEY": "x", "TESTERARMY_TOKEN": "y", KEY_VARIABLE: "z"}
    assert meant_as(KEY_VARIABLE, both) == ["TESTERARMY_TOKEN", "TESTER_ARMY_API_KEY"]
