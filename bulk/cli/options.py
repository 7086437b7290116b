"""Options that several commands share, for click and as records; imports click and words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from bulk.batch.folder import OUTPUT
from bulk.model import OnInterrupt, OnUnknown

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", re.IGNORECASE)
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)/(\d{1,9}(?:\.\d{1,9})?)?(ms|s|m|h)")
_SECONDS_BY_UNIT = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A span of time such as `90s`, `10m` or `1h30m`, in seconds; a bare number is seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds; fails where the text is no span, or an empty one."""
        if isinstance(value, int | float):
            return float(value)
        text = re.sub(r"\s", "", str(value))
        parts = list(_DURATION.finditer(text))
        if not parts or "".join(part[0] for part in parts) != text:
            self.fail(f"{value!r} is no span of time; write 90s, 10m or 1h30m", param, ctx)
        seconds = sum(float(part[1]) * _SECONDS_BY_UNIT[(part[2] or "").lower()] for part in parts)
        if seconds <= 0:
            self.fail(f"{value!r} is no time at all", param, ctx)
        return seconds


class Rate(click.ParamType[float]):
    """A rate such as `10/s`, `600/m` or `100/10s`, in requests a second."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Requests a second; fails where the text is no rate, or one of nothing."""
        if isinstance(value, float):
            return value
        match = _RATE.fullmatch(str(value).replace(" ", "").lower())
        span_s = float(match[2] or 1) * _SECONDS_BY_UNIT[match[3]] if match else 0.0
        if match is None or span_s <= 0 or float(match[1]) <= 0:
            self.fail(f"{value!r} is no rate; write 10/s, 600/m or 100/10s", param, ctx)
        return float(match[1]) / span_s


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingOptions:
    """What `run`, `resume` and `cancel` are told about batch, API and pace; spans are seconds."""

    output: Path
    as_json: bool
    base_url: str | None
    api_key: str | None = field(repr=False)
    api_key_file: Path | None
    rate: float | None
    burst: int
    max_concurrency: int
    deadline: float | None
    connect_timeout: float
    timeout: float
    drain_timeout: float
    quiet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions(AskingOptions):
    """What `run` and `resume` are told about sending."""

    max_retries: int
    fail_fast: bool
    on_unknown: OnUnknown
    on_interrupt: OnInterrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(BatchOptions):
    """All that `run` is told. `sandbox` is None without the option, empty for the default one."""

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
    """`--output`: the parent of the batches' folders."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        default=OUTPUT,
        show_default=True,
        help="The folder that holds the batches' folders.",
    )(function)


def json_option(function: F) -> F:
    """`--json`: the summary on stdout, for programs."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout."
    )(function)


def api_options(function: F) -> F:
    """Where the API is, and the key to it."""
    return _apply(
        function,
        [
            click.option(
                "--base-url",
                envvar="TESTERARMY_BASE_URL",
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


def asking_options(function: F) -> F:
    """How to ask the API for anything: limits on speed and patience."""
    return _apply(
        function,
        [
            click.option(
                "--rate",
                type=Rate(),
                help="The API's limit where you know it (10/s, 600/m); it is never exceeded. "
                "Not needed: the limit is found.",
            ),
            click.option(
                "--burst",
                type=click.IntRange(1, 1_000_000),
                default=1,
                show_default=True,
                help="With --rate: how many requests may leave at once.",
            ),
            click.option(
                "--max-concurrency",
                type=click.IntRange(1, 512),
                default=32,
                show_default=True,
                help="The most requests under way at once.",
            ),
            click.option(
                "--deadline",
                type=Duration(),
                help="Stop sending after this long (90s, 10m).",
            ),
            click.option(
                "--connect-timeout",
                type=Duration(),
                default="10s",
                show_default=True,
                help="For making a connection.",
            ),
            click.option(
                "--timeout",
                type=Duration(),
                default="60s",
                show_default=True,
                help="For the whole answer, once the request has left.",
            ),
            click.option(
                "--drain-timeout",
                type=Duration(),
                default="5s",
                show_default=True,
                help="After Ctrl-C: wait this long for requests under way.",
            ),
            click.option(
                "--quiet", "-q", is_flag=True, help="No progress and no notes, only the end."
            ),
        ],
    )


def sending_options(function: F) -> F:
    """How to send triggers: `asking_options`, and what else may be sent and when."""
    return _apply(
        function,
        [
            asking_options,
            click.option(
                "--max-retries",
                type=click.IntRange(0, 10_000),
                default=20,
                show_default=True,
                help="Resends of one trigger after a 429 or a failed connection; nothing else "
                "is ever sent again.",
            ),
            click.option(
                "--fail-fast", is_flag=True, help="Stop at the first trigger that is not queued."
            ),
            click.option(
                "--on-unknown",
                type=click.Choice(get_args(OnUnknown)),
                default="reconcile",
                show_default=True,
                help="Of triggers whose answer was lost: ask the server and send again what it "
                "never executed; only report them; or send again also what stays unknown, "
                "which can run and bill a test twice.",
            ),
            click.option(
                "--on-interrupt",
                type=click.Choice(get_args(OnInterrupt)),
                default="detach",
                show_default=True,
                help="After Ctrl-C or SIGTERM: leave the queued runs running; or cancel them at "
                "once, which may not save their bill.",
            ),
        ],
    )
