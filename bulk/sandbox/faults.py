"""What can go wrong with a trigger, and when. responses.py decides how a fault is delivered."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from bulk.sandbox.spec_values import SpecError, format_share, read_choice, read_count, read_share

# Whether the trigger takes effect under each fault, that is, whether a run is queued (and billed).
#   reset-*            the connection is reset before or after the trigger takes effect
#   hang, hang-queued  no response is ever sent
#   not-json .. drip   a 202 whose body is malformed, cut short or endless
#   not-http           bytes that are not HTTP
#   connect-*          no connection is made; real sockets can only reset an accepted one
EFFECT_BY_FAULT = {
    "reset-before": False,
    "reset-after": True,
    "hang": False,
    "hang-queued": True,
    "not-json": True,
    "no-run-id": True,
    "bad-run-id": True,
    "duplicate-run-id": True,
    "truncated": True,
    "endless-body": True,
    "drip": True,
    "not-http": True,
    "connect-refused": False,
    "connect-hang": False,
}
CONNECT_FAULTS = ("connect-refused", "connect-hang")
_STATUSES = (
    "429",  # by chance instead of by a limit, like a server that sheds load
    *(f"{status}{effect}" for status in (500, 502, 503, 504) for effect in ("", "-queued")),
)
FAULT_NAMES = (*_STATUSES, *EFFECT_BY_FAULT)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and the triggers it applies to: a random `share`, the `first` N, or `every` Nth.

    Connect faults count the triggers sent; all others count those that passed the limits. Raises
    SpecError unless exactly one of `share`, `first` and `every` is set.
    """

    name: str
    share: float = 0.0
    first: int = 0
    every: int = 0

    def __post_init__(self) -> None:
        read_choice(self.name, FAULT_NAMES, "fault")
        if sum(bool(part) for part in (self.share, self.first, self.every)) != 1:
            raise SpecError(f"fault {self.name}: choose one of 1%, first 3 and every 10th")

    @property
    def status(self) -> int | None:
        """The HTTP status of the response, if the fault consists in one."""
        return int(self.name[:3]) if self.name in _STATUSES else None

    @property
    def takes_effect(self) -> bool:
        """Whether the run is queued in spite of the fault."""
        return self.name.endswith("-queued") or EFFECT_BY_FAULT.get(self.name, False)

    def describe(self) -> str:
        """Return the canonical text, without the clause's name."""
        if self.first:
            return f"{self.name} first {self.first}"
        if self.every:
            return f"{self.name} every {_ordinal(self.every)}"
        return f"{self.name} {format_share(self.share)}"


class FaultPicker:
    """Picks the fault of each trigger. If several apply, the first one in the spec wins."""

    def __init__(self, faults: tuple[Fault, ...], rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng
        self._number = 0

    def pick(self) -> Fault | None:
        """Return the fault of the next trigger, or None. Each call counts as one trigger."""
        if not self._faults:
            return None
        self._number += 1
        # Each is asked, also after the first that applies: the random draws stay in step.
        applying = [fault for fault in self._faults if self._applies(fault)]
        return applying[0] if applying else None

    def _applies(self, fault: Fault) -> bool:
        if fault.first:
            return self._number <= fault.first
        if fault.every:
            return self._number % fault.every == 0
        return self._rng.random() < fault.share


def parse_fault(text: str) -> Fault:
    """Parse what follows the word `fault`. Raises SpecError."""
    words = text.split()
    if not words:
        raise SpecError(f"fault: its name is missing; use one of {', '.join(FAULT_NAMES)}")
    name = read_choice(words[0], FAULT_NAMES, "fault")
    what = f"fault {name}"
    match words[1:]:
        case [share] if share.endswith("%"):
            return Fault(name, share=read_share(share, what))
        case ["first", count]:
            return Fault(name, first=read_count(count, f"{what}: first"))
        case ["every", nth]:
            return Fault(
                name, every=read_count(re.sub(r"(st|nd|rd|th)$", "", nth), f"{what}: every")
            )
    raise SpecError(f"{what}: say when: 1%, first 3 or every 10th")


def _ordinal(number: int) -> str:
    suffixes = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number // 10 % 10 == 1 else suffixes.get(number % 10, 'th')}"
