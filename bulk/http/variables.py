"""Names the environment variables that are read, and those that were probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

KEY_VARIABLE = "TESTERARMY_API_KEY"
BASE_URL_VARIABLE = "TESTERARMY_BASE_URL"
# What other tools call such a variable, after the product's name.
SYNONYMS = {
    KEY_VARIABLE: ("API_KEY", "KEY", "TOKEN", "API_TOKEN", "ACCESS_TOKEN", "SECRET", "API_SECRET"),
    BASE_URL_VARIABLE: ("BASE_URL", "URL", "API_URL", "API_BASE_URL", "BASE", "HOST", "ENDPOINT"),
}
PRODUCT = "TESTERARMY"
# One letter missing, too many or exchanged in the shortest name, TESTERARMYURL; measured by difflib
# on the letters alone. TESTERARMY_PROJECT_ID has 0.69.
LIKENESS_MIN = 0.88


def meant_as(variable: str, environment: Mapping[str, str]) -> list[str]:
    """The names of variables that are set and not read, and were probably meant as `variable`.

    Letters alone are compared: TESTER_ARMY_API_KEY and testerarmy-api-key are such names.
    """
    return sorted(
        name
        for name, value in environment.items()
        if name not in SYNONYMS and value.strip() and next(_meanings(name), None) == variable
    )


def _meanings(name: str) -> Iterator[str]:
    """The variables that a name resembles, the most similar one first."""
    letters = "".join(filter(str.isalpha, name)).upper()
    spelled = {
        PRODUCT + word.replace("_", ""): variable
        for variable, words in SYNONYMS.items()
        for word in words
    }
    for found in difflib.get_close_matches(letters, spelled, n=3, cutoff=LIKENESS_MIN):
        yield spelled[found]
