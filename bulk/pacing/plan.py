"""All windows that are known: finds them by their pauses, and tells when a request fits all.

A window shows when requests pass again long after a refusal, far longer than a request took before
it. Where one is known already and the pause was longer than that one explains, there is another one
around it. A plan says nothing of rates: where requests pass again soon, there is no window.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from bulk.pacing.history import History
from bulk.pacing.lengths import LONGEST_S, Length, usual
from bulk.pacing.told import Policy, TheEnd
from bulk.pacing.windows import FULL, LIMIT_MIN, Window

PAUSE_SHARE_MIN = 0.4  # of a window: a bucket recovers within a request or two
PAUSE_TRIPS_MIN = 5.0  # ... and of round trips
PAUSE_S_MIN = 0.3  # ... and seconds: windows are not that short
PAUSE_TURNS_MIN = 8.0  # ... and turns at the rate, where one is known
ANOTHER = 2.5  # times a window's length: a pause that this window cannot be the cause of
ANOTHER_CAUSE = 0.5  # of a window: a shorter wait that the server asks for is not its end
SHORT_S = 2.5  # windows shorter than this are as well served by their mean rate
LASTING_S = 5.0  # a pause of this length is a rate's only where that is very low
WINDOWS_MAX = 2  # one inside the other: a second and a minute, or a minute and a day
FILL_SHARE = 0.01  # of the time so far: a window is filled in it, for just the last one ends late
FILL_MAX = 0.1  # ... and of its length, at most
UNDER_WAY_MIN = 4.0  # however slowly that is: fewer tell nothing sooner
DROPPED_MAX = 2  # windows that were none: then it is a rate


class Plan:
    """The windows, the shortest first. Instants are seconds on the caller's clock."""

    def __init__(self) -> None:
        self.history = History()
        self._windows: list[Window] = []
        self._blamed: Window | None = None
        self.dropped = 0  # windows that there seemed to be, and were none
        self.lied_to = False  # whether waits that the server asked for had nothing to do with it
        self.average: tuple[int, float] | None = None  # what a window that was none still tells
        self._short_s = 0.0  # what passes since `began` is of a longer window than this
        self._began: float | None = None  # when what passes since the last long pause began to
        self._outer_began: float | None = None  # the same, of a window around all that are known
        self._recovered_at = 0.0
        self._recoveries = 0
        self._lasted = False  # whether a probe was refused in the pause before: a cap passes it
        self.refilled = False  # whether as many passed after the first pause as before it: a fixed
        # window, it seems, that ended soon after it was full
        self._told_end = -math.inf  # nothing passes before that, the server says

    @property
    def known(self) -> bool:
        """Whether there is a window."""
        return bool(self._windows)

    @property
    def begins(self) -> set[float]:
        """When the window under way may have begun."""
        if self.refilled:
            return {self._recovered_at}
        return {self._began or 0.0, self._outer_began or 0.0, self._recovered_at}

    def sizes(self) -> list[tuple[int, float]]:
        """The limits and lengths of the windows, the shortest first."""
        return [(window.limit, window.length.s) for window in self._windows]

    @property
    def edges(self) -> list[float]:
        """When the windows under way began, and when they end."""
        return [at for one in self._windows for at in (one.began, one.began + one.length.s)]

    # --- turns --------------------------------------------------------------------------------

    def sent(self, at: float, *, probe: bool) -> None:
        """A request left; it counts until it is refused."""
        if self._began is None:
            self._began = self._outer_began = self._recovered_at = at
        self.history.sent(at)
        if not probe:
            for window in self._windows:
                window.sent(at)

    def accepted(self, at: float) -> None:
        """The request that left at `at` was accepted."""
        for window in self._windows:
            window.accepted(at)

    def next_at(self, now: float, pending: int, *, alone: bool = False) -> float:
        """The instant from which one more fits, when `pending` others have yet to leave.

        `alone`: whether nothing is under way.
        """
        turns = (window.next_at(now, pending, alone=alone) for window in self._windows)
        return max(turns, default=-math.inf)

    def filled_by(self, now: float, pending: int, trip_s: float) -> float:
        """The instant from which one more may leave, that few are under way at any one time.

        What is under way when a window turns out to be full sooner is all refused.
        """
        if not self._windows:
            return -math.inf
        sends = self.history.sends
        fill_s = FILL_SHARE * (now - sends[0])
        gaps_s = (min(fill_s, FILL_MAX * one.length.s) / one.limit for one in self._windows)
        return sends[-1] + (pending + 1) * min(trip_s / UNDER_WAY_MIN, *gaps_s)

    def shared(self) -> None:
        """Other limits refuse requests as well, which take up no place in a window."""
        for window in self._windows:
            window.places.shared = True

    def test_at(self, now: float, turn: float, trip_s: float) -> float | None:
        """Where a single request has to show whether a window has ended: when; else None.

        `turn`: when the next request would leave without that. Nothing is under way.
        """
        for window in self._windows:
            early = window.earlier()
            if early is None or not now + 2 * trip_s < early < turn:
                unsure = window.unsure(trip_s) and turn >= window.began + window.length.s
                early = turn if unsure else None
            if early is not None:
                self._blamed = window
                window.tested()
                return early
        return None

    def explains(self, at: float, *, alone: bool) -> bool:
        """Whether a window may have refused the request that left at `at`.

        `alone`: whether no rate is known that could have.
        """
        return any(window.explains(at, alone=alone) for window in self._windows)

    # --- refusals -----------------------------------------------------------------------------

    def refused(self, at: float, now: float, trip_s: float, told: TheEnd | None) -> float | None:
        """A refusal of the request that left at `at`: when to probe; None if no window did it.

        `told`: when requests pass again, the server says.
        """
        self.noted(at, told)
        full = [window for window in self._windows[1:] if window.explains(at)]
        while self._windows:
            self._blamed = full[0] if full else self._windows[0]
            until = self._blamed.refused(at, now, trip_s, told)
            if until is not None:
                return until
            self._drop(self._blamed)
            full = []
        return None

    def noted(self, at: float, told: TheEnd | None) -> None:
        """A refusal, of the request that left at `at`, that is no known window's."""
        self._blamed = None
        self.refilled = self._lasted and self._seems_refilled(at)
        self._lasted = False
        self._short_s = self._refused_s(at)
        self._told_end = -math.inf if told is None else told.earliest

    def _seems_refilled(self, at: float) -> bool:
        before = self.history.count(self._began or 0.0, self._recovered_at)
        again = self.history.count(self._recovered_at, at)
        alike = before >= again >= max(LIMIT_MIN, FULL * before)
        return alike and self._recoveries == 1 and not self._windows

    def still_refused(self, at: float, now: float, told: TheEnd | None) -> float | None:
        """The probe that left at `at` was refused as well: when to probe again, if known."""
        self._short_s = self._refused_s(at)
        self._lasted = True
        if told is not None:
            self._told_end = max(self._told_end, told.earliest)
        if self._blamed is None:
            return None
        until = self._blamed.still_refused(at, now, told)
        another = self._blamed.confirmed and at - self._blamed.began > ANOTHER * self._blamed.was_s
        return None if another else until

    def recovered(
        self,
        at: float,
        refused_at: float,
        *,
        trip_s: float,
        jitter_s: float,
        per_s: float | None,
        telling: bool,
        policy: Policy,
    ) -> bool:
        """Requests pass again, from the one on that left at `at`; whether a window ended.

        `per_s`: the rate as far as known. `telling`: the pause was no longer than it had to be.
        `policy`: the limit that the server tells.
        """
        blamed, self._blamed = self._blamed, None
        opened_at, self._recovered_at = self._recovered_at, at
        self._recoveries += 1
        began = self._began or 0.0
        pause_s, length_s = at - refused_at, at - began
        other_s = 0.0 if blamed is None or telling else ANOTHER_CAUSE * blamed.was_s
        if blamed is not None and pause_s < other_s and not blamed.met_early(at):
            blamed.forgiven()
            return False
        if blamed is not None and (not blamed.confirmed or pause_s < ANOTHER * blamed.was_s):
            if not blamed.recovered(at, refused_at, trip_s):
                self._drop(blamed)
                return False
            if blamed is self._windows[-1] and blamed.opened_at == at:
                self._began = at
                if len(self._windows) > 1:
                    self._outer_began = at
            for window in self._windows:
                if window is not blamed:
                    window.resumed(at)
            return True
        turns_s = 0.0 if per_s is None else PAUSE_TURNS_MIN / per_s
        long_s = max(PAUSE_SHARE_MIN * length_s, PAUSE_TRIPS_MIN * trip_s, PAUSE_S_MIN, turns_s)
        if blamed is not None:
            long_s = ANOTHER * blamed.was_s
        if pause_s < long_s:
            return False
        if blamed is None and self._misjudged(at, pause_s):
            return True
        if blamed is not None:
            began = self._outer_began or 0.0
            self._short_s += (self._began or 0.0) - began
            length_s, self._outer_began = at - began, at
        passed = self.history.count(began, at)
        if length_s > LONGEST_S or passed < LIMIT_MIN:
            self._began = at
            return False
        if not telling or self.dropped >= DROPPED_MAX or len(self._windows) >= WINDOWS_MAX:
            return False
        if length_s < SHORT_S and not self._windows:
            self.average = passed, usual(self._short_s, length_s)
            return False
        self._began = at
        if self.refilled:  # it began only then
            self._short_s -= opened_at - began
            passed, began = self.history.count(opened_at, at), opened_at
        for window in self._windows:
            window.resumed(at)
        self._found(passed, began, at, jitter_s, policy)
        return True

    def _refused_s(self, at: float) -> float:
        """What a refusal of the request that left at `at` tells of a window's length, at least."""
        began = self._began or 0.0
        passed = self.history.count(began, at)
        if passed and not self._windows:  # what was refused may take up places, too
            spent = self.history.spent
            began = max(began, spent[bisect_left(spent, at) - passed])
        return at - began

    def _found(self, passed: int, began: float, at: float, jitter_s: float, policy: Policy) -> None:
        """One more window, in which so many passed since `began`; the next one began at `at`."""
        limit, length_s = passed, at - began
        if policy.quota is not None and LIMIT_MIN <= policy.quota <= passed <= 2 * policy.quota:
            limit = policy.quota  # fixed windows let twice as many pass around an end
            later = self.history.sends[self.history.index(at) - limit] - began
            began, length_s = began + later, length_s - later
            self._short_s = max(0.0, self._short_s - later)
        else:
            policy = Policy()
        length = Length(
            self._short_s, length_s, told_s=self._told_end - began, policy_s=policy.window_s
        )
        self._windows.append(
            Window(self.history, limit, length, began=began, ended_at=at, jitter_s=jitter_s)
        )
        if len(self._windows) > 1:
            self.shared()

    def _misjudged(self, at: float, pause_s: float) -> bool:
        """Whether the pause was that of a known window, which had not seemed to be full."""
        window = self._windows[-1] if self._windows else None
        if window is None or not PAUSE_SHARE_MIN < pause_s / window.length.s < ANOTHER:
            return False
        window.misjudged(at)
        self._began = at
        return True

    def _drop(self, window: Window) -> None:
        self._windows.remove(window)
        self._blamed = None
        self.lied_to = self.lied_to or not window.length.believed
        self.dropped += 1
        self.average = _average(window)


def _average(window: Window) -> tuple[int, float] | None:
    """Requests and seconds, where this is a limit in the mean although it is no window."""
    if not window.is_one:
        return None
    spread_s = window.length.spread_s
    lasting = window.confirmed or window.length.s >= LASTING_S or spread_s is not None
    return (window.limit, spread_s or window.length.s) if lasting else None
