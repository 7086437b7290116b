"""`bulk-trigger sandbox [SPEC]`: turns its options into one spec and serves a sandbox.

What a spec means is up to `bulk.sandbox`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bulk.sandbox import SandboxConfig

EPILOG = """\b
A spec is a list of clauses, separated by semicolons. Options add clauses:
  bulk-trigger sandbox "token-bucket 10/s burst 20; headers retry-after; seed 7"
\b
Limits    none, token-bucket 10/s burst 20, strict-spacing 10/s, queue 10/s,
          fixed-window 100/10s [phase 3s], sliding-window 100/10s,
          sliding-counter 100/10s, concurrency 6, quota 500;
          each with per-test, counting-refusals; "A + B"; "A until 30s then B"
Headers   none, retry-after, retry-after-fractional, retry-after-date,
          retry-after=N, retry-after-always, draft-6, draft-7, draft-current,
          x-ratelimit, x-ratelimit-epoch, x-ratelimit-epoch-ms,
          x-ratelimit-epoch-fractional, x-ratelimit-date
Latency   60ms, 60ms jitter 10ms, uniform 20ms..100ms, normal 60ms sd 10ms,
          lognormal 60ms sigma 0.5; each with split 25/50/25
Faults    429, 500, 502, 503, 504 (but for 429 also -queued), reset-before,
          reset-after, hang, hang-queued, not-json, no-run-id, bad-run-id, duplicate-run-id,
          truncated, endless-body, drip, not-http, connect-refused, connect-hang;
          each with 1%, first 3 or every 10th
Further   base root|api|both, legacy, scope triggers|all, tests ID,...,
          unknown-tests ID,..., refusal-body json|html|plain|empty, refusal-code CODE,
          quota-code CODE, runs queued 1s running 10s failed 10% broken 0%
"""


@click.command(
    "sandbox",
    epilog=EPILOG,
    short_help="Serve a local TesterArmy, with limits and faults.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("spec_words", metavar="[SPEC]", nargs=-1)
@click.option("--spec", "spec_option", metavar="SPEC", help="The spec, instead of the argument.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port to listen on; 0, the default, takes a free one.",
)
@click.option("--headers", metavar="STYLES", help="The rate-limit headers of answers.")
@click.option("--latency", metavar="TIME", help="How long an answer takes.")
@click.option(
    "--fault", "faults", metavar="FAULT", multiple=True, help="A fault to inject; repeatable."
)
@click.option("--seed", type=click.IntRange(0), help="The seed of everything random.")
@click.option("--key-required", metavar="KEY", help="The only key accepted; it is visible in `ps`.")
@click.option("--reject-key", metavar="KEY", help="A key answered with 401.")
@click.option(
    "--base", type=click.Choice(["root", "api", "both"]), help="The path under which /v1 is served."
)
@click.option("--legacy", is_flag=True, help="Serve only the trigger endpoint.")
@click.option("--unknown-tests", metavar="IDS", help="Test ids answered with 404.")
def command(
    spec_words: tuple[str, ...],
    spec_option: str | None,
    host: str,
    port: int,
    headers: str | None,
    latency: str | None,
    faults: tuple[str, ...],
    seed: int | None,
    key_required: str | None,
    reject_key: str | None,
    base: str | None,
    legacy: bool,
    unknown_tests: str | None,
) -> None:
    """Serve a local TesterArmy until Ctrl-C. Nothing is tested and nothing is billed.

    GET /sandbox/truth returns what really happened, GET /openapi.json describes the API.
    """
    from bulk.sandbox import DEFAULT_SPEC, SpecError, parse_spec

    if spec_words and spec_option:
        raise click.UsageError("the spec is given twice; use the argument or --spec")
    clauses = [
        f"headers {headers}" if headers else "",
        f"latency {latency}" if latency else "",
        *(f"fault {fault}" for fault in faults),
        f"seed {seed}" if seed is not None else "",
        f"key {key_required}" if key_required else "",
        f"reject-key {reject_key}" if reject_key else "",
        f"base {base}" if base else "",
        "legacy" if legacy else "",
        f"unknown-tests {unknown_tests}" if unknown_tests else "",
    ]
    given = spec_option if spec_option is not None else " ".join(spec_words)
    if not given:
        # An option replaces a clause of the default spec. Of a given spec, nothing is replaced.
        named = {clause.partition(" ")[0] for clause in clauses}
        parts = [part.strip() for part in DEFAULT_SPEC.split(";")]
        given = "; ".join(part for part in parts if part.partition(" ")[0] not in named)
    try:
        config = parse_spec("; ".join([given, *filter(None, clauses)]))
    except SpecError as error:
        raise click.UsageError(str(error)) from error
    _announce_and_serve(config, host, port)


def _announce_and_serve(config: SandboxConfig, host: str, port: int) -> None:
    import trio

    from bulk.sandbox.server import is_loopback

    if not is_loopback(host):
        click.echo(f"warning: others on the network can reach {host}", err=True)
    failures: list[BaseException] = []
    try:
        trio.run(_serve_until_signal, config, host, port)
    except* OSError as group:
        failures.extend(group.exceptions)
    if failures:
        raise click.UsageError(f"cannot listen on {host}, port {port}: {failures[0]}")


async def _serve_until_signal(config: SandboxConfig, host: str, port: int) -> None:
    import warnings
    from dataclasses import asdict
    from functools import partial

    import trio

    from bulk.cli.embedded_sandbox import without_keys
    from bulk.cli.signals import handled
    from bulk.sandbox import Served, serve

    # The receiver is open before the first line is printed: its reader may send a signal at once.
    with trio.open_signal_receiver(*handled()) as signals:
        async with trio.open_nursery() as nursery:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the command has its own warning
                served: Served = await nursery.start(partial(serve, config, host=host, port=port))
            click.echo(f"SANDBOX {served.url} (nothing is billed)")
            click.echo(without_keys(config).describe())
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break
    counts = asdict(served.sandbox.truth.counts)
    click.echo(", ".join(f"{name} {count}" for name, count in counts.items()), err=True)
