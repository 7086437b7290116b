"""What the API sustains, learned from when it refuses; knows no request, pause or header.

A *mark* is an instant at which the limit was at its edge: the send of an epoch's first refusal.
Between two marks the API accepted what it sustains, whatever it had saved up before the first one:
n accepted in the time between, and one request more or less. So the estimate is the slope over all
marks since the limit last changed, and its error falls with n, not with the number of refusals.

Pacing at the estimate leaves two errors, the estimate's own and the limit's changes, to a
stochastic approximation (Robbins and Monro, 1951): each refusal lowers the pace by a step, each
accepted request raises it by a step times the share of refusals that may be spent. It settles where
just that share is refused: for a bucket at its rate, for strict spacing as far below as the
network's jitter asks. After a long stretch without a refusal the raise doubles again and again,
which is how a raised limit is found; a refusal right after a refusal doubles the step, which is how
a lowered one is.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

REFUSED_SHARE = 0.002  # of requests; 0.5 % is the most that is to be spent, and starting costs too
COARSE_SHARE = 0.05  # while the step is large: to come near soon is worth more than a refusal
STEP_MIN = 0.005  # finer steps take longer than a thousand requests to mend a slip of theirs
STEP_MAX = 0.25  # a limit that halves is reached in three
STEP_FADES = 200  # accepted requests in which the step shrinks by a factor of e
SOON = 12  # a refusal after fewer accepted requests than this says that the pace is far off
CLEAN_MIN = 300  # accepted requests without a refusal before the raise begins to double
PATIENCE_MAX = 12.0  # times CLEAN_MIN, however dear a refusal is: a raised limit is to be found
WELL_KNOWN = 1500  # accepted requests behind an estimate that needs no more refusals
DOUBLING = 35  # accepted requests until it has doubled; a doubled limit is found in some 600
RAISE_MAX = 0.02  # an accepted request never raises the pace by more
SPARE = 0.001  # paced this far above the estimate, a bucket stays empty: what it saves is lost
SHORT = 0.004  # ... and this far below it where a refusal makes us wait longer than it can save
CHANGED = 0.1  # a span that differs by more than this and its own error is of another limit
FAR = 1.25
UNSAVED_MAX = 2.0  # a limit that saves up fewer requests is a spacing
RECENT = 15  # accepted requests
SUFFIX_S_MIN = 0.25  # requests that leave together arrive apart
TRUST_MIN = 30  # accepted requests in a span before its slope is taken for the rate


@dataclass(frozen=True, slots=True)
class Span:
    """What was accepted between two marks, and how long that took in seconds."""

    accepted: float
    took_s: float


class RateModel:
    """The sustained rate and the pace. Instants are seconds on the caller's clock.

    `pace` is requests a second, None until two marks are known. `ceiling` and `burst`: what the
    user knows of the limit; the pace starts there and never exceeds it.
    """

    def __init__(self, ceiling: float | None = None, burst: int = 1) -> None:
        self._ceiling = ceiling
        self.pace: float | None = ceiling
        self.saved = (
            0.0 if ceiling is None else float(burst)
        )  # what the limit let through at the start, beyond the sustained rate
        self._step = 0.1
        self._clean = 0
        self._mark: float | None = None
        self._level = 0.0  # what the limit had saved up at the mark
        self._first: tuple[int, float] | None = None  # accepted and duration until the first mark
        self._sends: list[float] = []  # accepted since the last mark, by their sends
        self._spans: list[Span] = []
        self._price = 0.0
        self._trying = False
        self._paces: deque[float] = deque([0.0], maxlen=RECENT)

    @property
    def estimate(self) -> float | None:
        """The sustained rate in requests a second, over all spans."""
        took = sum(span.took_s for span in self._spans)
        count = sum(span.accepted for span in self._spans)
        return count / took if took > 0 and count > 0 else None

    @property
    def tells(self) -> bool:
        """Whether enough was accepted since the mark for another one to tell something."""
        return len(self._sends) >= TRUST_MIN

    @property
    def since_mark(self) -> int:
        """Accepted requests that left after the mark."""
        return len(self._sends)

    def accepted(self, sent_at: float, *, paced: bool) -> None:
        """A request was accepted; `paced` if it was the pace that held it back."""
        if self._mark is None or sent_at > self._mark:
            insort(self._sends, sent_at)
        self._clean += 1
        self._step = max(STEP_MIN, self._step * (1 - 1 / STEP_FADES))
        if self.pace is not None and paced:
            share = min(COARSE_SHARE, REFUSED_SHARE * (self._step / STEP_MIN) ** 0.8)
            share /= 1 + self._price
            clean_min = CLEAN_MIN * self._patience()
            doublings = max(0.0, (self._clean - clean_min) / DOUBLING)
            self._paces.append(self.pace)
            if self._ceiling is not None and self.pace >= self._ceiling:
                return
            self.pace *= 1 + min(RAISE_MAX, self._step * share * 2 ** min(doublings, 30.0))

    def _patience(self) -> float:
        """How much longer a stretch has to be clean where a refusal is dear and the rate known."""
        known = sum(span.accepted for span in self._spans)
        return 1 + min(PATIENCE_MAX, self._price) * min(1.0, known / WELL_KNOWN)

    def resumed(self, at: float, pause_s: float, *, told: bool) -> None:
        """Requests pass again from `at` on, after a pause; `told` if the server asked for it.

        Where more came up in the pause than can be saved, what is saved is all there is: a mark,
        though not at the edge. What was lost is the price of a refusal.
        """
        if self.estimate is None:
            return
        price = self.estimate * pause_s - self.saved
        if told:
            self._price = max(0.0, price)
        if price > 1:
            self._mark, self._level, self._sends = at, self.saved + 1, []

    def refused(self, sent_at: float, under_way: int, started_at: float) -> None:
        """An epoch begins: its first refusal left at `sent_at`.

        `under_way`: requests that left before it and have no answer yet; they are taken to be
        accepted. `started_at`: when the first request left.
        """
        before = bisect_left(self._sends, sent_at)
        count = before + under_way
        before_sends = self._sends[:before]
        del self._sends[:before]
        if self._mark is None:
            self._first = (count, sent_at - started_at)
        else:
            self._learn(self._span(self._mark, sent_at, count - self._level, before_sends))
        self._mark, self._level = sent_at, 0.0
        self._clean = 0

    def _span(self, mark: float, end: float, count: float, sends: list[float]) -> Span:
        """What was sustained from a mark to the next.

        Where less was sent than the limit sustains it saves up, and what it cannot save is lost to
        the count. It had saved `saved` at most, at any instant: so the requests after each of them
        tell that much at least, and after the last at which it was full they tell it exactly.
        """
        took_s = max(1e-6, end - mark)
        sustained = max(0.0, count) / took_s
        saved = self.saved
        if self.pace is None and self._first is not None:
            first, first_s = self._first
            saved = max(0.0, first - sustained * first_s)
        least = saved + (TRUST_MIN if self.pace is not None else max(8, 0.3 * count))
        for index, sent_at in enumerate(sends):
            after = count - index
            if after < least or end - sent_at < SUFFIX_S_MIN:
                break
            sustained = max(sustained, (after - 1 - saved) / (end - sent_at))
        return Span(sustained * took_s, took_s)

    def _learn(self, span: Span) -> None:
        known, rate = self.estimate, span.accepted / span.took_s
        error = 1.5 / max(1.0, span.accepted)
        self._spans.append(span)
        if known is None or self.pace is None:
            self.pace = self.estimate and self.estimate * (1 + SPARE)
            self._step = min(STEP_MAX, max(STEP_MIN, error))
        else:
            if span.accepted >= TRUST_MIN and abs(rate / known - 1) > CHANGED + error:
                self._spans = [span]
            if span.accepted < (SOON if self._price < 1 else TRUST_MIN):
                self._step = min(STEP_MAX, self._step * 2)
            lowered = self.pace * (1 - self._step)
            if span.accepted >= TRUST_MIN:
                slope = max(rate, self.estimate or rate)
                self._step = max(STEP_MIN, min(self._step, 2 * error))
                slope *= 1 + (SPARE if self._price < 1 else -SHORT)
                if self.saved < UNSAVED_MAX:  # nothing is saved up: what passed of late may pass
                    slope = max(slope, self._paces[0])
                if self._price < 1 and self.pace > FAR * slope:  # saved up, or no bucket: try
                    slope = math.sqrt(slope * self.pace)
                    self._trying = True
                self.pace = min(lowered, slope)
            else:
                if (self._trying or self._price >= 1) and self.estimate is not None:
                    lowered = min(lowered, self.estimate * (1 + SPARE))
                    self._trying = False
                self.pace = lowered
                if self._step == STEP_MAX:
                    self._spans = [span]
        if self._first is not None and self.estimate is not None:
            count, took_s = self._first
            self.saved = max(0.0, count - self.estimate * took_s)
