"""Owns the reading of a whole sandbox spec; knows no server and starts nothing.

A spec is one string: clauses between semicolons, each named by its first word; a limit needs no
name. An example: `token-bucket 10/s burst 20; headers retry-after; fault 500-queued 1%; seed 7`.
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
    RunPace,
    SandboxConfig,
)
from bulk.sandbox.faults import parse_fault
from bulk.sandbox.headers import HeaderStyle
from bulk.sandbox.latency import parse_latency
from bulk.sandbox.limit_spec import LimitKind, parse_limits
from bulk.sandbox.spec_durations import read_duration_s
from bulk.sandbox.spec_values import SpecError, read_choice, read_share

# A spec is typed by hand; what is longer was handed in by mistake.
SPEC_CHARACTERS_MAX = 100_000
RETRY_AFTER_MAX_S = 10**9
_LIMIT_WORDS = ("none", "sliding-log", *LimitKind)
_HEADER_WORDS = ("none", *HeaderStyle, "retry-after-always", "retry-after=N")

# What a clause sets, field by field. It is handed to SandboxConfig at once and goes no further.
Settings = dict[str, Any]


def parse_spec(text: str) -> SandboxConfig:
    """Reads a spec. Raises SpecError, one sentence that names the piece and what is possible."""
    if len(text) > SPEC_CHARACTERS_MAX:
        raise SpecError(f"the spec has {len(text)} characters; {SPEC_CHARACTERS_MAX} are possible")
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
            read_choice(word, [*_LIMIT_WORDS, *_CLAUSES], "clause")
        if name in seen and name != "fault":
            more = ' (limits at once: "A + B")' if name == "limits" else ""
            raise SpecError(f'"{clause}": a second {name} clause; one is possible{more}')
        seen.add(name)
        _CLAUSES[name](rest.strip(), settings)
    return SandboxConfig(**settings)


def _limits(text: str, settings: Settings) -> None:
    settings["limits"] = parse_limits(text)


def _headers(text: str, settings: Settings) -> None:
    styles: list[HeaderStyle] = []
    words = text.split()
    if not words:
        raise SpecError(f"headers: none is named; possible are {', '.join(_HEADER_WORDS)}")
    for word in words:
        lie = re.fullmatch(r"retry-after=([0-9]{1,10})", word)
        if lie and int(lie[1]) <= RETRY_AFTER_MAX_S:
            settings["retry_after_s"] = int(lie[1])
        elif word == "retry-after-always":
            settings["retry_after_always"] = True
        elif read_choice(word, _HEADER_WORDS, "headers") in (*HeaderStyle,):
            styles.append(HeaderStyle(word))
        elif word != "none" or len(words) > 1:
            raise SpecError(f'headers: "{word}" cannot stand there')
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
        raise SpecError(f'legacy: "{text}" is too much; the word stands alone')
    settings["legacy"] = True


def _runs(text: str, settings: Settings) -> None:
    words = text.split()
    if not words or len(words) % 2:
        raise SpecError('runs: write it as in "queued 1s running 10s failed 10% broken 1%"')
    pace: Settings = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        read_choice(name, ("queued", "running", "failed", "broken", "listed"), "runs")
        if name in ("queued", "running", "listed"):
            pace[f"{name}_s"] = read_duration_s(value, f"runs: {name}")
        else:
            pace[name] = read_share(value, f"runs: {name}")
    settings["runs"] = RunPace(**pace)


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
