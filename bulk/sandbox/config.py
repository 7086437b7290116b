"""The settings of a sandbox as one record, which formats itself as a spec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bulk.sandbox.faults import Fault
from bulk.sandbox.headers import RETRY_STYLES, HeaderStyle
from bulk.sandbox.latency import Latency
from bulk.sandbox.limit_spec import NO_LIMITS, LimitPhase, check_phases, describe_limits
from bulk.sandbox.spec_durations import format_duration
from bulk.sandbox.spec_values import SpecError, format_share

Base = Literal["root", "api", "both"]
RefusalBody = Literal["json", "html", "plain", "empty"]
Scope = Literal["triggers", "all"]

BASES = ("root", "api", "both")
REFUSAL_BODIES = ("json", "html", "plain", "empty")
SCOPES = ("triggers", "all")
REFUSAL_CODES = ("rate_limited", "too_many_requests", "usage_limit_exceeded")
QUOTA_CODES = ("usage_limit_exceeded", "insufficient_quota")

UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY_PATTERN = re.compile(r"[!-:<-~]+")  # visible ASCII without the semicolon, which ends a clause


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How runs progress: seconds queued, seconds running, and the shares that end badly.

    `failed`: the share whose test fails. `broken`: the share whose runner fails. `listed_s`: how
    long after its creation a run appears in lists, as if a lagging replica served them.
    Raises SpecError.
    """

    queued_s: float = 1.0
    running_s: float = 10.0
    failed: float = 0.1
    broken: float = 0.0
    listed_s: float = 0.0

    def __post_init__(self) -> None:
        if self.failed + self.broken > 1:
            raise SpecError("runs: failed and broken add up to more than 100%")

    def describe(self) -> str:
        """Return the canonical text, without the clause's name."""
        text = f"queued {format_duration(self.queued_s)} running {format_duration(self.running_s)}"
        text += f" failed {format_share(self.failed)} broken {format_share(self.broken)}"
        return f"{text} listed {format_duration(self.listed_s)}" if self.listed_s else text


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """A sandbox's settings. The defaults are a server without limits, latency or faults.

    | field | meaning |
    |---|---|
    | `retry_after_s` | a constant `Retry-After` in whole seconds, regardless of the limiters |
    | `key` | the only key accepted; None accepts any but `reject_key` |
    | `tests` | the test ids that exist; empty means all but `unknown_tests` |
    | `legacy` | only the trigger endpoint exists |
    | `scope` | whether limits apply to triggers only or to all requests |

    Raises SpecError for settings that contradict each other.
    """

    limits: tuple[LimitPhase, ...] = NO_LIMITS
    headers: tuple[HeaderStyle, ...] = ()
    retry_after_s: int | None = None
    retry_after_always: bool = False
    latency: Latency = Latency()  # noqa: RUF009 - frozen, so sharing it is safe
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    key: str | None = None
    reject_key: str | None = None
    base: Base = "both"
    legacy: bool = False
    tests: tuple[str, ...] = ()
    unknown_tests: tuple[str, ...] = ()
    refusal_body: RefusalBody = "json"
    refusal_code: str = "rate_limited"
    quota_code: str = "usage_limit_exceeded"
    scope: Scope = "triggers"
    runs: RunSettings = RunSettings()

    def __post_init__(self) -> None:
        check_phases(self.limits)
        retry_styles = [style for style in self.headers if style in RETRY_STYLES]
        if len(retry_styles) + (self.retry_after_s is not None) > 1:
            raise SpecError("headers: more than one form of Retry-After; choose one")
        if len(set(self.headers)) != len(self.headers):
            raise SpecError("headers: a style is repeated")
        draft_7 = {HeaderStyle.DRAFT_7, HeaderStyle.DRAFT_CURRENT}
        if draft_7 <= set(self.headers):
            raise SpecError("headers: draft-7 and draft-current share a header; choose one")
        if sum(style.startswith("x-ratelimit") for style in self.headers) > 1:
            raise SpecError("headers: more than one form of X-RateLimit-Reset; choose one")
        for key in (self.key, self.reject_key):
            if key is not None and not _KEY_PATTERN.fullmatch(key):
                raise SpecError("key: use visible ASCII characters only, no spaces or semicolons")
        for test_id in (*self.tests, *self.unknown_tests):
            if not UUID_PATTERN.fullmatch(test_id) or test_id != test_id.lower():
                raise SpecError(f'tests: "{test_id}" is not a lower-case UUID')

    def describe(self) -> str:
        """Return the canonical spec; parsing it gives an equal record."""
        clauses = [describe_limits(self.limits)]
        clauses += self._describe_headers()
        if self.latency != Latency():
            clauses.append(f"latency {self.latency.describe()}")
        clauses += [f"fault {fault.describe()}" for fault in self.faults]
        plain = SandboxConfig()
        for clause, value, default in (
            ("seed", self.seed, plain.seed),
            ("key", self.key, plain.key),
            ("reject-key", self.reject_key, plain.reject_key),
            ("base", self.base, plain.base),
            ("tests", ",".join(self.tests), ""),
            ("unknown-tests", ",".join(self.unknown_tests), ""),
            ("refusal-body", self.refusal_body, plain.refusal_body),
            ("refusal-code", self.refusal_code, plain.refusal_code),
            ("quota-code", self.quota_code, plain.quota_code),
            ("scope", self.scope, plain.scope),
            ("runs", self.runs.describe(), plain.runs.describe()),
        ):
            if value != default:
                clauses.append(f"{clause} {value}")
        return "; ".join([*clauses, "legacy"] if self.legacy else clauses)

    def _describe_headers(self) -> list[str]:
        words: list[str] = list(self.headers)
        if self.retry_after_s is not None:
            words.append(f"retry-after={self.retry_after_s}")
        if self.retry_after_always:
            words.append("retry-after-always")
        return [f"headers {' '.join(words)}"] if words else []
