"""Owns what can go wrong with a trigger, and when; knows not how it is sent or how it shows."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from bulk.sandbox.spec_values import SpecError, format_share, read_choice, read_count, read_share

# What each fault does, and whether the trigger takes effect (a run is queued, and billed).
#   reset-*            the connection is reset before or after the trigger took effect
#   hang, hang-queued  no answer ever comes
#   not-json .. drip   a 202 whose body is broken, or never ends
#   not-http           bytes that are no HTTP at all
#   connect-*          no connection comes about; real sockets can only reset the accepted one
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
    "429",  # by chance and not by a limit, as of a server that sheds load
    *(f"{status}{effect}" for status in (500, 502, 503, 504) for effect in ("", "-queued")),
)
FAULT_NAMES = (*_STATUSES, *EFFECT_BY_FAULT)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and when it strikes: by chance, the first N triggers, or every Nth of them.

    Connect faults count the triggers sent, all others those that passed the limits. Raises
    SpecError unless exactly one of `share`, `first` and `every` is set.
    """

    name: str
    share: float = 0.0
    first: int = 0
    every: int = 0

    def __post_init__(self) -> None:
        read_choice(self.name, FAULT_NAMES, "fault")
        if sum(bool(part) for part in (self.share, self.first, self.every)) != 1:
            raise SpecError(f"fault {self.name}: say either 1%, first 3 or every 10th")

    @property
    def status(self) -> int | None:
        """The HTTP status of a fault that answers with one."""
        return int(self.name[:3]) if self.name in _STATUSES else None

    @property
    def takes_effect(self) -> bool:
        """Whether the run is queued all the same."""
        return self.name.endswith("-queued") or EFFECT_BY_FAULT.get(self.name, False)

    def describe(self) -> str:
        """The canonical text, without the clause's name."""
        if self.first:
            return f"{self.name} first {self.first}"
        if self.every:
            return f"{self.name} every {_ordinal(self.every)}"
        return f"{self.name} {format_share(self.share)}"


class FaultPicker:
    """Says which fault strikes the next trigger; the first in the spec's order wins."""

    def __init__(self, faults: tuple[Fault, ...], rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng
        self._number = 0

    def pick(self) -> Fault | None:
        """The fault that strikes, if any. Each call is one trigger."""
        if not self._faults:
            return None
        self._number += 1
        struck = [fault for fault in self._faults if self._strikes(fault)]
        return struck[0] if struck else None

    def _strikes(self, fault: Fault) -> bool:
        if fault.first:
            return self._number <= fault.first
        if fault.every:
            return self._number % fault.every == 0
        return self._rng.random() < fault.share


def parse_fault(text: str) -> Fault:
    """Reads what follows `fault`. Raises SpecError."""
    words = text.split()
    if not words:
        raise SpecError(f"fault: its name is missing; one of {', '.join(FAULT_NAMES)}")
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
    raise SpecError(f"{what}: say when, as in 1%, first 3 or every 10th")


def _ordinal(number: int) -> str:
    suffixes = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number // 10 % 10 == 1 else suffixes.get(number % 10, 'th')}"
