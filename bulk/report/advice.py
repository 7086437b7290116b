"""What each failure code means and what to do about it, in a sentence each."""

from __future__ import annotations

from dataclasses import dataclass

from bulk.model import FailureCode


@dataclass(frozen=True, slots=True)
class Advice:
    """What happened and what to do; `{batch}` stands for the batch as commands name it."""

    meaning: str
    remedy: str


RESUME = "To send what is left: bulk-trigger resume {batch}"
FAILED_AGAIN = "To retry them and send what is left: bulk-trigger resume {batch} --last-failed"
LOOK_IT_UP = (
    "If the server lists its runs, ask it again: bulk-trigger resume {batch} --reconcile-only. Or "
    "look for the run in the TesterArmy dashboard before triggering the test again: a second "
    "trigger is a second billed run."
)
ADVICE: dict[str, Advice] = {
    FailureCode.AUTH: Advice(
        "The server rejected the API key.", f"Check the key and its permissions. {RESUME}"
    ),
    FailureCode.RATE_LIMITED: Advice(
        "429s outlasted the retries, the longest wait allowed or the deadline.",
        f"Allow more with --max-retries, --max-wait or --deadline. {FAILED_AGAIN}",
    ),
    FailureCode.QUOTA_EXHAUSTED: Advice(
        "The account's quota is used up, or seems to be: nothing else explains the 429s.",
        f"Raise the quota or wait for its reset. {FAILED_AGAIN}",
    ),
    FailureCode.SERVER_ERROR: Advice(
        "The server failed; the run may or may not have been queued.", LOOK_IT_UP
    ),
    FailureCode.GATEWAY_TIMEOUT: Advice(
        "A gateway timed out; the run may or may not have been queued.", LOOK_IT_UP
    ),
    FailureCode.REQUEST_TIMEOUT: Advice(
        "The server timed out reading the request; the run may or may not have been queued.",
        LOOK_IT_UP,
    ),
    FailureCode.READ_TIMEOUT: Advice(
        "No answer arrived in time; the run may or may not have been queued.",
        f"{LOOK_IT_UP} A longer --timeout gives the server more time.",
    ),
    FailureCode.CONNECTION_LOST: Advice(
        "The connection broke before the answer was complete; the run may have been queued.",
        LOOK_IT_UP,
    ),
    FailureCode.CONNECT_FAILED: Advice(
        "No connection could be made; nothing was sent.",
        f"Check --base-url, the network and the proxy. {RESUME}",
    ),
    FailureCode.BLOCKED: Advice(
        "Something between here and the API, such as a firewall or a proxy, blocked it. Nothing "
        "was executed.",
        f"Ask whoever runs the network or the API, with the message. {RESUME}",
    ),
    FailureCode.BAD_RESPONSE: Advice(
        "The server accepted it, but its answer does not say which run it created for it.",
        LOOK_IT_UP,
    ),
    FailureCode.INTERRUPTED: Advice(
        "The batch was interrupted. Unsent triggers never left; unknown ones were in flight.",
        f"{RESUME}. It first asks the server about any unknown ones.",
    ),
    FailureCode.DEADLINE: Advice("The deadline passed before it could be sent.", RESUME),
    FailureCode.ABORTED: Advice(
        "The batch stopped because other triggers failed.",
        f"Fix what failed first. {RESUME}",
    ),
    FailureCode.STORAGE: Advice(
        "The journal could not be written, so sending stopped.",
        f"Fix the cause, such as a full disk. {RESUME}",
    ),
    "http_400": Advice(
        "The server rejected the request as invalid.",
        "Check this row's platform, mode, app and device against the test.",
    ),
    "http_404": Advice(
        "The server knows no such test.",
        "Check the test id; if every trigger fails like this, check --base-url.",
    ),
    "http_409": Advice(
        "The server reports a conflict with the test's state.", "See the server's message."
    ),
}
OTHER = Advice("The server rejected it for good.", "See the server's message.")


def advice_on(failure_code: str, cli_name: str, *, simulated: bool = False) -> Advice:
    """The advice on a failure code of a batch that commands name `cli_name`.

    A simulated batch leaves nothing to fix, so the remedy is worded for a real run.
    """
    found = ADVICE.get(failure_code, OTHER)
    if simulated:
        return Advice(found.meaning, "In a real run: " + found.remedy.format(batch="BATCH"))
    return Advice(found.meaning, found.remedy.format(batch=cli_name))
