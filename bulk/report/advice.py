"""What each failure code means and what to do about it, for people in a hurry."""

from __future__ import annotations

from dataclasses import dataclass

from bulk.model import FailureCode


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence on what happened, one on what to do; `{batch}` is what commands call it."""

    meaning: str
    remedy: str


RESUME = "To send what is left: bulk-trigger resume {batch}"
FAILED_AGAIN = "To send them again, and what is left: bulk-trigger resume {batch} --last-failed"
LOOK_IT_UP = (
    "To ask the server again: bulk-trigger resume {batch} --reconcile-only. Or look for the run in "
    "the TesterArmy dashboard before triggering the test again: a second trigger is a second "
    "billed run."
)
ADVICE: dict[str, Advice] = {
    FailureCode.AUTH: Advice(
        "The server refused the API key.", f"Check the key and its rights. {RESUME}"
    ),
    FailureCode.RATE_LIMITED: Advice(
        "The API refused it as too fast until the retries or the deadline were used up.",
        f"Allow more with --max-retries or --deadline. {FAILED_AGAIN}",
    ),
    FailureCode.QUOTA_EXHAUSTED: Advice(
        "The account's quota is used up.", f"Raise the quota or wait for its reset. {FAILED_AGAIN}"
    ),
    FailureCode.SERVER_ERROR: Advice(
        "The server failed; the run may or may not have been queued.", LOOK_IT_UP
    ),
    FailureCode.GATEWAY_TIMEOUT: Advice(
        "A gateway gave up waiting; the run may or may not have been queued.", LOOK_IT_UP
    ),
    FailureCode.REQUEST_TIMEOUT: Advice(
        "The server gave up reading the request; the run may or may not have been queued.",
        LOOK_IT_UP,
    ),
    FailureCode.READ_TIMEOUT: Advice(
        "No answer came in time; the run may or may not have been queued.",
        f"{LOOK_IT_UP} A longer --timeout waits longer.",
    ),
    FailureCode.CONNECTION_LOST: Advice(
        "The connection broke before the answer was complete; the run may have been queued.",
        LOOK_IT_UP,
    ),
    FailureCode.CONNECT_FAILED: Advice(
        "No connection could be made; nothing was sent.",
        f"Check --base-url, the network and the proxy. {RESUME}",
    ),
    FailureCode.BAD_RESPONSE: Advice(
        "The server accepted it without saying which run it made.", LOOK_IT_UP
    ),
    FailureCode.INTERRUPTED: Advice(
        "The batch was interrupted. Unsent ones never left; unknown ones were under way.",
        f"{RESUME}. It asks the server what became of unknown ones first.",
    ),
    FailureCode.DEADLINE: Advice("The deadline passed before its turn came.", RESUME),
    FailureCode.ABORTED: Advice(
        "The batch was stopped after other triggers had failed.",
        f"Mend what failed first. {RESUME}",
    ),
    FailureCode.STORAGE: Advice(
        "The journal could not be written, so nothing more was sent.",
        f"Mend what stopped it, such as a full disk. {RESUME}",
    ),
    "http_400": Advice(
        "The server found the request invalid.",
        "Check this row's platform, mode, app and device against the test.",
    ),
    "http_404": Advice(
        "The server knows no such test.", "Check the test id, and --base-url if all fail so."
    ),
    "http_409": Advice(
        "The server says that this conflicts with the test's state.", "See the server's message."
    ),
}
OTHER = Advice("The server refused it for good.", "See the server's message.")


def advice(failure_code: str, batch: str, *, simulated: bool = False) -> Advice:
    """The advice on a failure code, for a batch that commands call so.

    In a simulated one there is nothing to mend: it says what a real one would ask for.
    """
    found = ADVICE.get(failure_code, OTHER)
    if simulated:
        return Advice(found.meaning, "In a real run: " + found.remedy.format(batch="BATCH"))
    return Advice(found.meaning, found.remedy.format(batch=batch))
