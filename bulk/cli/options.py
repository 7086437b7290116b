"""The options that several commands share, for click and as records.

Imports little more than click: `--help` must be instant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from bulk.batch.folder import OUTPUT
from bulk.durations import parse_duration, parse_rate
from bulk.http.variables import BASE_URL_VARIABLE
from bulk.model import BURST_MAX, CONCURRENCY_MAX, RETRIES_MAX, OnInterrupt, OnUnknown

if TYPE_CHECKING:
    FloatType = click.ParamType[float]
else:
    FloatType = click.ParamType  # before click 8.4 it takes no type argument

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class DurationType(FloatType):
    """A duration such as `90s`, `10m` or `1h30m`, in seconds; a bare number is seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds; fails if the text is not a duration, or is 0."""
        if isinstance(value, int | float):
            return float(value)
        seconds = parse_duration(str(value))
        if seconds is None:
            self.fail(f"{value!r} is not a duration; write 90s, 10m or 1h30m", param, ctx)
        if seconds <= 0:
            self.fail(f"{value!r} is too short; write a duration above 0", param, ctx)
        return seconds


class RateType(FloatType):
    """A rate such as `10/s`, `600/m` or `100/10s`, in requests per second."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Requests per second; fails if the text is not a rate, or is 0."""
        if isinstance(value, float):
            return value
        per_s = parse_rate(str(value))
        if per_s is None:
            self.fail(f"{value!r} is not a rate; write 10/s, 600/m or 100/10s", param, ctx)
        return per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The options of `run`, `resume` and `cancel`: batch, API and pace. Durations are seconds."""

    output: Path
    as_json: bool
    base_url: str | None
    api_key: str | None = field(repr=False)
    api_key_file: Path | None
    rate: float | None
    burst: int
    max_concurrency: int
    deadline: float | None
    max_wait: float | None
    connect_timeout: float
    timeout: float
    drain_timeout: float
    quiet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingOptions(RequestOptions):
    """The options of `run` and `resume`: also what to send, and when to stop."""

    max_retries: int
    fail_fast: bool
    on_unknown: OnUnknown
    on_interrupt: OnInterrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(SendingOptions):
    """All options of `run`. `sandbox` is None without the option, empty for the default spec."""

    manifest: Path
    dry_run: bool
    sandbox: str | None
    simulate: str | None
    batch: str | None
    new: bool
    platform: tuple[str, ...]
    mode: tuple[str, ...]
    tags: tuple[str, ...]
    exclude_tags: tuple[str, ...]
    test: tuple[str, ...]
    first: int | None
    app_id: tuple[str, ...]
    max_triggers: int | None


def _apply(function: F, options: list[Callable[[F], F]]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def output_option(function: F) -> F:
    """`--output`: the folder that holds the batches' folders."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        default=OUTPUT,
        show_default=True,
        help="The folder that holds the batches' folders.",
    )(function)


def json_option(function: F) -> F:
    """`--json`: the summary on stdout, for other programs."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout."
    )(function)


def api_options(function: F) -> F:
    """The API's address and key."""
    return _apply(
        function,
        [
            click.option(
                "--base-url",
                envvar=BASE_URL_VARIABLE,
                metavar="URL",
                help="The API's address, with or without /api; also TESTERARMY_BASE_URL. "
                "[default: https://tester.army]",
            ),
            click.option(
                "--api-key-file",
                type=click.Path(path_type=Path),
                help="A file with the API key, instead of TESTERARMY_API_KEY.",
            ),
            click.option(
                "--api-key",
                metavar="KEY",
                help="The API key itself. Anyone on this machine can read it in the process "
                "list: prefer TESTERARMY_API_KEY or --api-key-file.",
            ),
        ],
    )


def request_options(function: F) -> F:
    """The pace of requests, and time limits."""
    return _apply(
        function,
        [
            click.option(
                "--rate",
                type=RateType(),
                help="The API's limit, if you know it (10/s, 600/m); it is never exceeded. "
                "Without it, the limit is found.",
            ),
            click.option(
                "--burst",
                type=click.IntRange(1, BURST_MAX),
                default=1,
                show_default=True,
                help="With --rate: how many requests may leave at once.",
            ),
            click.option(
                "--max-concurrency",
                type=click.IntRange(1, CONCURRENCY_MAX),
                default=32,
                show_default=True,
                help="The most requests in flight at once.",
            ),
            click.option(
                "--deadline",
                type=DurationType(),
                help="Stop sending after this long (90s, 10m).",
            ),
            click.option(
                "--max-wait",
                type=DurationType(),
                help="Stop, resumably, if the API asks for a single wait that is longer.",
            ),
            click.option(
                "--connect-timeout",
                type=DurationType(),
                default="10s",
                show_default=True,
                help="Time limit for making a connection.",
            ),
            click.option(
                "--timeout",
                type=DurationType(),
                default="60s",
                show_default=True,
                help="Time limit for the whole answer, once the request has left.",
            ),
            click.option(
                "--drain-timeout",
                type=DurationType(),
                default="5s",
                show_default=True,
                help="After Ctrl-C: wait at most this long for requests in flight.",
            ),
            click.option(
                "--quiet",
                "-q",
                is_flag=True,
                help="Print no progress and no notes, only the result.",
            ),
        ],
    )


def sending_options(function: F) -> F:
    """`request_options`, and what to send and when to stop."""
    return _apply(
        function,
        [
            request_options,
            click.option(
                "--max-retries",
                type=click.IntRange(0, RETRIES_MAX),
                default=20,
                show_default=True,
                help="Resends of one trigger after a 429 or a failed connection; no other failure "
                "is retried.",
            ),
            click.option(
                "--fail-fast", is_flag=True, help="Stop at the first trigger that is not queued."
            ),
            click.option(
                "--on-unknown",
                type=click.Choice(get_args(OnUnknown)),
                default="reconcile",
                show_default=True,
                help="If the answer to a trigger was lost: ask the server and resend what it never "
                "executed; only report it; or also resend what stays unknown, which can run and "
                "bill a test twice.",
            ),
            click.option(
                "--on-interrupt",
                type=click.Choice(get_args(OnInterrupt)),
                default="detach",
                show_default=True,
                help="After Ctrl-C or SIGTERM: leave the queued runs running; or cancel them at "
                "once (they may still be billed).",
            ),
        ],
    )
