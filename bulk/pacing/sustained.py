"""What the API sustains, learned from when it refuses; knows no pace, pause or header.

A *mark* is a refusal's send: the limit had nothing left at that instant. Between two marks the API
accepted just what it sustains, n requests in the time T, give or take one. So the estimate is n / T
over all marks since the limit last changed, and its error is 1.5 / n however few the marks are.

This fails where the limit saved up all it can meanwhile, for what it could not save is lost to the
count: after a pause that was longer than that takes, and wherever the pace keeps below the limit
because refusals are dear. There all that passed from each mark to the next is read together as
bursts (`bursts`), and the estimate is the lowest rate that explains them, with its own error.

The first bursts may have two such readings, a low rate that saves up much and a high one that saves
up little. Then the higher one is a *doubt*: a pace between the two is refused soon if the lower one
is right, and not at all if the higher one is.

Marks that contradict the estimate replace it: the limit has changed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

from bulk.pacing.bursts import Burst, Reading, Span, ahead, emptied, readings, saves
from bulk.pacing.guess import Guess

MARK_ERROR = 1.5  # requests: one at each end of a span, of which one is known to half
JITTERS = 1.0  # the mean deviation of latencies, by which the ends are blurred as well
KNOWN_MAX = 2000  # accepted requests that the estimate remembers: its error is below 0.1 % then
PROVEN = 30  # accepted requests from which on an estimate is more than a first impression
CHANGED = 0.12  # marks that differ by more than this and their error are of another limit
SPAN_MIN = 8  # accepted requests in a span before it may contradict others
BURSTS_MAX = 8  # kept: the first, which tells most of what is saved up, and the latest
OPENING_MAX = 300  # requests of the opening in which what a limit saves up is looked for
OPENING_TIMES = 2.0  # its mean speed: what it ends with at most, for it speeds up
AHEAD_BY = 1.5  # requests that the network's jitter alone brings forward
SUGGESTED_ERROR, SUGGESTED_MIN = 0.1, 0.6  # what others suggest is so good, or, where the first
# span tells less than this share of it, worth nothing
SPAN_SHARE_MIN = 0.5  # of what a span tells: the rate is no lower however short the span
SHARP = 0.2  # of a rate: a reading that is no wider tells the rate
DOUBT_MIN = 1.4  # times the lower rate: less is not worth a test
DOUBT_AGREES = 0.3  # a second span that differs by less confirms the first


class Sustained:
    """The sustained rate as far as known. Instants are seconds on the caller's clock.

    `saves`: requests that the limit lets through at once, beyond the rate; `surely_saves`: even if
    the rate is as high as is possible. `guess`: the pace while there is no estimate. `known`:
    accepted requests behind the estimate. `doubt`: a higher reading that is possible as well.
    """

    def __init__(self, guess: float | None, saves: float) -> None:
        self.guess = Guess(guess)
        self.saves = self.surely_saves = saves
        self.known = 0.0
        self.doubt: Span | None = None
        self._took_s = 0.0
        self._spans: list[Span] = []
        self._opening: list[float] = []  # accepted until the first mark
        self._bursts: list[Burst] = []
        self._mark: float | None = None
        self._sends: list[float] = []  # accepted since the mark, by their sends
        self._emptied_at, self._before = 0.0, 0  # the mark before one forgotten; passed until that
        self._at_once: int | None = None  # so many should pass after that, or the suggestion errs
        self._rested = False  # whether another limit held all back before the mark
        self._overflowed = False  # whether something was left at the mark, which is none then
        self._paused = False  # whether the server asked for a pause since the mark
        self._suggested = False  # whether the estimate is somebody else's as yet
        self._cheap = True  # whether refusals cost nothing
        self._pace = math.inf  # at which requests left of late
        self._jitter_s = 0.0
        self._blur = MARK_ERROR

    @property
    def estimate(self) -> float | None:
        """The sustained rate in requests a second; None until two marks are known."""
        return self.known / self._took_s if self._spans else None

    @property
    def error(self) -> float:
        """The estimate's relative error."""
        return min(1.0, self._spans[-1].error / self.known) if self._spans else 1.0

    @property
    def proven(self) -> bool:
        """Whether the estimate rests on more than a few requests."""
        return len(self._spans) > 1 and self.known >= PROVEN

    @property
    def blur(self) -> float:
        """Requests by which jitter moves the limit's edge, at the last mark."""
        return self._blur - MARK_ERROR

    @property
    def passed(self) -> int:
        """Accepted since the last mark."""
        return len(self._sends)

    def _keep(self, spans: list[Span]) -> None:
        self._spans = spans
        self.known = sum(span.accepted for span in spans)
        self._took_s = sum(span.took_s for span in spans)

    # --- what happens -------------------------------------------------------------------------

    def accepted(self, sent_at: float, *, paced: bool) -> None:
        """A request was accepted; `paced` if it was the pace that held it back."""
        if self._mark is None or sent_at > self._mark:
            insort(self._sends, sent_at)
        if paced and not self._spans and self._mark is not None:
            self.guess.accepted(len(self._sends), sent_at - self._mark)

    def undoubted(self, sent_at: float) -> None:
        """So much has passed without a refusal that the higher reading must be the right one."""
        assert self.doubt is not None
        self._keep([self.doubt])
        self.doubt = None
        self._begin(sent_at)
        self._overflowed = True

    def refused(
        self,
        sent_at: float,
        *,
        under_way: Sequence[float],
        jitter_s: float,
        started_at: float,
        surprising: int,
        cheap: bool,
        pace: float | None,
    ) -> Span:
        """A mark: the request that left at `sent_at` was refused. What passed since the last.

        `under_way`: sends of requests that left before it and have no answer yet; they are taken
        to be accepted. `started_at`: when the first request left. `surprising`: so many of the last
        requests were more than was thought possible. `cheap`: whether refusals cost nothing.
        `pace`: at which requests left of late.
        """
        cut = bisect_left(self._sends, sent_at)
        sends = self._sends[:cut]
        del self._sends[:cut]
        sends = sorted([*sends, *(at for at in under_way if self._mark is None or at > self._mark)])
        count = len(sends)
        since = started_at if self._mark is None else self._mark
        passed = Span(count, max(1e-3, sent_at - since), MARK_ERROR)
        self._jitter_s, self._cheap = jitter_s, cheap
        self._pace = pace or math.inf
        self._blur = MARK_ERROR + JITTERS * jitter_s * (self.estimate or 0.0)
        if self._mark is None:
            self.guess.opened(count, passed.took_s)
            speed = OPENING_TIMES * max(1, count) / passed.took_s
            self._bursts.append(Burst(sends, sent_at, pace=speed))
            self._opening = sends[:OPENING_MAX]
        elif surprising and cheap and self._contradicts(passed):
            # It is more than passed in all, and less than of late, for what was saved up went too.
            tail = sends[-surprising:]
            late_per_s = len(tail) / max(1e-6, sent_at - tail[0])
            per_s = math.sqrt(passed.per_s * max(passed.per_s, late_per_s))
            self._keep([Span(float(SPAN_MIN), SPAN_MIN / per_s, MARK_ERROR)])
        else:
            self._learn(sends, sent_at, count)
        self._mark = sent_at
        self._suggested = self._paused = self._overflowed = self._rested = False
        self._at_once = None
        self._read_saves()
        return passed

    def _read_saves(self) -> None:
        estimate = self.estimate
        if estimate is not None and self._bursts:
            shown = ahead(self._opening, estimate) - AHEAD_BY
            self.saves = max(saves(self._bursts, estimate), shown)
            highest = self.doubt.per_s if self.doubt else estimate * (1 + self.error)
            self.surely_saves = saves(self._bursts, highest)

    def _contradicts(self, passed: Span) -> bool:
        """Whether more passed than any error of the estimate explains."""
        more = passed.per_s / (self.estimate or math.inf) - 1
        return more > self.error + self._blur / passed.accepted

    def recovered(self, pause_s: float, *, told: bool, most_per_s: float = math.inf) -> None:
        """A pause is over, so long after the refusal left; `told`: the server asked for it."""
        self._paused = told
        if self.estimate is None:
            self.guess.recovered(pause_s, told=told, most_per_s=most_per_s)

    def forget(self, at: float) -> None:
        """What was accepted until now tells nothing of the rate."""
        self._emptied_at, self._before = self._mark or 0.0, len(self._sends)
        self._begin(at - 1e-3)
        self._sends = []

    def rested(self, at: float) -> None:
        """Another limit held all back until now; what passes next began with all saved up."""
        if self.estimate is not None:
            self._begin(at)
            self._rested = True

    def suggest(self, count: int, in_s: float, *, at_once: bool) -> None:
        """So many were accepted in such a time, by another account; `at_once`: in one go."""
        self._keep([Span(float(count), in_s, SUGGESTED_ERROR * count)])
        self._suggested = True
        self._at_once = count if at_once else None

    def _begin(self, at: float) -> None:
        self._mark, self._sends = at, [at]

    # --- learning -----------------------------------------------------------------------------

    def _learn(self, sends: list[float], end: float, count: int) -> None:
        assert self._mark is not None
        known = self.estimate
        took_s = max(1e-6, end - self._mark)
        if self._at_once is not None and count < SUGGESTED_MIN * self._at_once:
            whole_s = max(1e-3, end - self._emptied_at)
            self._keep([Span(count + self._before, whole_s, MARK_ERROR)])
            return
        if known is not None and ((count < 1 and took_s < 1 / known) or self._rested):
            return
        span = Span(max(0.5, count), took_s, MARK_ERROR)
        if known is None:
            self._read(span, sends, end)
        elif self.doubt is not None:
            self._read_second(span, sends, end)
        elif self._overflowed or self._paused or not self._cheap:
            self._read(span, sends, end)
        elif self._suggested and span.per_s < SUGGESTED_MIN * known:
            self._keep([span])
        else:
            self._add(span)

    def _readings(self, sends: list[float], end: float) -> list[Reading]:
        """All readings, with the burst since the mark; bursts that contradict it are dropped."""
        emptied_at = -math.inf if self._overflowed or self._mark is None else self._mark
        self._bursts.append(Burst(sends, end, emptied_at=emptied_at, pace=self._pace))
        del self._bursts[1 : 1 - BURSTS_MAX]
        while len(self._bursts) > 1:
            found = readings(self._bursts, self._jitter_s)
            if found:
                return found
            del self._bursts[0]
            self._opening = []  # it was of another limit as well
        return []

    def _read(self, span: Span, sends: list[float], end: float) -> None:
        """Read all bursts; `span` is what the last one tells if nothing was lost meanwhile."""
        found = self._readings(sends, end)
        error = MARK_ERROR / span.accepted
        # More passed than can have come up below this:
        lowest = 0.0 if self._overflowed else span.per_s * max(SPAN_SHARE_MIN, 1 - error)
        spans = [Reading(max(lowest, one.low), one.high).span for one in found if one.high > lowest]
        if not spans:
            self._keep([span])
            return
        first = spans[0]
        higher = spans[1] if len(spans) > 1 and emptied(self._bursts, first.per_s) else None
        if higher is not None and higher.per_s > DOUBT_MIN * first.per_s:
            self.doubt = higher
        lossless = found[0].low <= span.per_s * (1 + error) and lowest <= found[0].high
        sharp = first.error < SHARP * first.accepted
        if not self._cheap or self._overflowed:
            self._keep([first])
        elif not self._paused and (lossless or not sharp):
            self._keep([span])
        elif lossless and sharp and self.doubt is None:
            self._add(span)
        else:
            self._keep([first])

    def _add(self, span: Span) -> None:
        self._keep([*self._spans, span])
        while len(self._spans) > 1 and self.known - self._spans[0].accepted > KNOWN_MAX:
            self._keep(self._spans[1:])
        self._drop_contradicted()

    def _read_second(self, span: Span, sends: list[float], end: float) -> None:
        found = self._readings(sends, end)
        first = self._spans[-1]
        error = MARK_ERROR / span.accepted + MARK_ERROR / self.known
        agrees = abs(span.per_s / first.per_s - 1) < DOUBT_AGREES + error
        self._keep([found[0].span] if found and not agrees else [*self._spans, span])
        self.doubt = None

    def _drop_contradicted(self) -> None:
        """Where the latest spans, enough to tell, contradict those before, the limit changed."""
        accepted = took_s = 0.0
        for index in range(len(self._spans) - 1, 0, -1):
            accepted += self._spans[index].accepted
            took_s += self._spans[index].took_s
            if accepted < SPAN_MIN:
                continue
            earlier = self._spans[:index]
            count = sum(span.accepted for span in earlier)
            was = count / sum(span.took_s for span in earlier)
            error = self._blur / accepted + MARK_ERROR / count
            if abs(accepted / took_s / was - 1) > CHANGED + error:
                self._keep(self._spans[index:])
            return
