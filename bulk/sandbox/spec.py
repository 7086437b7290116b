"""Parses a sandbox spec into a SandboxConfig.

A spec is a string of clauses separated by semicolons. The first word names the clause, and limits
need no name: `token-bucket 10/s burst 20; headers retry-after; fault 500-queued 1%; seed 7`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bulk.sandbox.config import (
    BASES,
    QUOTA_CODES,
    REFUSAL_BODIES,
    REFUSAL_CODES,
    SCOPES,
    RunSettings,
    SandboxConfig,
)
from bulk.sandbox.faults import parse_fault
from bulk.sandbox.headers import HeaderStyle
from bulk.sandbox.latency import parse_latency
from bulk.sandbox.limit_spec import LimitKind, parse_limits
from bulk.sandbox.spec_durations import read_duration_s
from bulk.sandbox.spec_values import SpecError, read_choice, read_share

# A spec is typed by hand; a longer text was passed by mistake.
SPEC_CHARACTERS_MAX = 100_000
RETRY_AFTER_MAX_S = 10**9
_LIMIT_WORDS = ("none", "sliding-log", *LimitKind)
_HEADER_WORDS = ("none", *HeaderStyle, "retry-after-always", "retry-after=N")

# The fields that clauses set. They become a SandboxConfig before they leave this module.
Settings = dict[str, Any]


def parse_spec(text: str) -> SandboxConfig:
    """Parse a spec. Raises SpecError with one sentence: the offending part and what is valid."""
    if len(text) > SPEC_CHARACTERS_MAX:
        raise SpecError(f"the spec has {len(text)} characters; the limit is {SPEC_CHARACTERS_MAX}")
    clauses = [" ".join(clause.split()) for clause in text.split(";")]
    if not any(clauses):
        raise SpecError('the spec is empty; write "none" for a server without limits')
    settings: Settings = {}
    seen: set[str] = set()
    for clause in filter(None, clauses):
        word, _, rest = clause.partition(" ")
        name = word
        if word in _LIMIT_WORDS:
            name, rest = "limits", clause
        elif word not in _CLAUSES:
            read_choice(word, [*_LIMIT_WORDS, *(set(_CLAUSES) - {"limits"})], "clause")
        if name in seen and name != "fault":
            hint = ' (to combine limits, write "A + B")' if name == "limits" else ""
            raise SpecError(f'"{clause}": a second {name} clause; only one is allowed{hint}')
        seen.add(name)
        _CLAUSES[name](rest.strip(), settings)
    return SandboxConfig(**settings)


def _limits(text: str, settings: Settings) -> None:
    settings["limits"] = parse_limits(text)


def _headers(text: str, settings: Settings) -> None:
    styles: list[HeaderStyle] = []
    words = text.split()
    if not words:
        raise SpecError(f"headers: a style is missing; use {', '.join(_HEADER_WORDS)}")
    for word in words:
        constant = re.fullmatch(r"retry-after=([0-9]{1,10})", word)
        if constant and int(constant[1]) <= RETRY_AFTER_MAX_S:
            settings["retry_after_s"] = int(constant[1])
        elif word == "retry-after-always":
            settings["retry_after_always"] = True
        elif read_choice(word, _HEADER_WORDS, "headers") in (*HeaderStyle,):
            styles.append(HeaderStyle(word))
        elif word != "none" or len(words) > 1:
            raise SpecError(f'headers: "{word}" is not valid here')
    settings["headers"] = tuple(styles)


def _latency(text: str, settings: Settings) -> None:
    settings["latency"] = parse_latency(text)


def _fault(text: str, settings: Settings) -> None:
    settings["faults"] = (*settings.get("faults", ()), parse_fault(text))


def _seed(text: str, settings: Settings) -> None:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise SpecError(f'seed: "{text}" is not a whole number')
    settings["seed"] = int(text)


def _word(field: str) -> Callable[[str, Settings], None]:
    def read(text: str, settings: Settings) -> None:
        if not text:
            raise SpecError(f"{field.replace('_', '-')}: its value is missing")
        settings[field] = text

    return read


def _choice(field: str, choices: tuple[str, ...]) -> Callable[[str, Settings], None]:
    def read(text: str, settings: Settings) -> None:
        settings[field] = read_choice(text, choices, field.replace("_", "-"))

    return read


def _ids(field: str) -> Callable[[str, Settings], None]:
    def read(text: str, settings: Settings) -> None:
        settings[field] = tuple(part for part in re.split(r"[,\s]+", text.lower()) if part)
        if not settings[field]:
            raise SpecError(f"{field.replace('_', '-')}: name at least one test id")

    return read


def _legacy(text: str, settings: Settings) -> None:
    if text:
        raise SpecError(f'legacy: "{text}" is unexpected; the word takes no value')
    settings["legacy"] = True


def _runs(text: str, settings: Settings) -> None:
    words = text.split()
    if not words or len(words) % 2:
        raise SpecError('runs: expected pairs such as "queued 1s running 10s failed 10% broken 1%"')
    fields: Settings = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        read_choice(name, ("queued", "running", "failed", "broken", "listed"), "runs")
        if name in ("queued", "running", "listed"):
            fields[f"{name}_s"] = read_duration_s(value, f"runs: {name}")
        else:
            fields[name] = read_share(value, f"runs: {name}")
    settings["runs"] = RunSettings(**fields)


_CLAUSES: dict[str, Callable[[str, Settings], None]] = {
    "limits": _limits,
    "headers": _headers,
    "latency": _latency,
    "fault": _fault,
    "seed": _seed,
    "key": _word("key"),
    "reject-key": _word("reject_key"),
    "base": _choice("base", BASES),
    "legacy": _legacy,
    "tests": _ids("tests"),
    "unknown-tests": _ids("unknown_tests"),
    "refusal-body": _choice("refusal_body", REFUSAL_BODIES),
    "refusal-code": _choice("refusal_code", REFUSAL_CODES),
    "quota-code": _choice("quota_code", QUOTA_CODES),
    "scope": _choice("scope", SCOPES),
    "runs": _runs,
}
