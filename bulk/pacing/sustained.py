"""What the API sustains, learned from when it refuses; knows no pace, pause or header.

A *mark* is a refusal's send: the limit had nothing left at that instant. Between two marks the API
accepted just what it sustains, n requests in the time T, give or take one. So the estimate is n / T
over all marks since the limit last changed, and its error is 1.5 / n however few the marks are.

This fails where the limit saved up all it can meanwhile, for what it could not save is lost to the
count. So after a pause that was longer than that takes, the mark is the pause's end and the limit
is full there, and the bursts from full to nothing tell its rate (`bursts`).

After the first two marks both readings are possible, and the second may give a far higher rate.
Then it is a *doubt*: a pace between the two is refused soon if the lower one is right, and not at
all if the higher one is.

Marks that contradict the estimate replace it: the limit has changed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort

from bulk.pacing.bursts import Burst, Span, agreed, ahead

MARK_ERROR = 1.5  # requests: one at each end of a span, of which one is known to half
JITTERS = 1.0  # the mean deviation of latencies, by which the ends are blurred as well
KNOWN_MAX = 2000  # accepted requests that the estimate remembers: its error is below 0.1 % then
PROVEN = 30  # accepted requests from which on an estimate is more than a first impression
CHANGED = 0.12  # marks that differ by more than this and their error are of another limit
SPAN_MIN = 8  # accepted requests in a span before it may contradict others
BURSTS_MAX, BURST_MAX = 8, 2000  # kept, and the requests looked at in each
OPENING_MAX = 300  # requests of the opening in which what a limit saves up is looked for
AHEAD_BY = 1.5  # requests that the network's jitter alone brings forward
SUGGESTED_ERROR, SUGGESTED_MIN = 0.1, 0.6  # what others suggest is so good, or, where the first
# span tells less than this share of it, worth nothing
GROWTH = 1.25  # of the first guess with each accepted request, until two marks are known
DEAR_GROWTH = 1.1  # ... where the server asked for a pause, and would again
GUESS_MAX = 4.0  # times what was accepted since: beyond, it is not the guess that holds back
PAUSED_MIN = 0.75  # of the estimate: less after a pause, and something was lost in it
DOUBT_MIN = 1.4  # times the lower rate: less is not worth a test
DOUBT_AGREES = 0.3  # a second span that differs by less confirms the first
DOUBT_SAVED, DOUBT_SAVED_MIN = 1.5, 5.0  # times what the opening saved, and requests beside:
# beyond, the lower reading is impossible


class Sustained:
    """The sustained rate as far as known. Instants are seconds on the caller's clock.

    `saves`: requests that the limit lets through at once, beyond the rate. `guess`: requests a
    second, while there is no estimate. `known`: accepted requests behind the estimate. `doubt`: a
    higher reading that is possible as well.
    """

    def __init__(self, guess: float | None, saves: float) -> None:
        self.guess = guess
        self.saves = saves
        self.known = 0.0
        self.doubt: Span | None = None
        self._took_s = 0.0
        self._spans: list[Span] = []
        self._first_per_s: float | None = None  # accepted a second until the first mark
        self._opening: list[float] = []  # accepted until then
        self._bursts: list[Burst] = []  # from all that the limit saves up to nothing
        self._mark: float | None = None
        self._full = False  # whether the limit had all saved up at the mark, not nothing
        self._paused = False  # whether the server asked for a pause since the mark
        self._suggested = False  # whether the estimate is somebody else's as yet
        self._sends: list[float] = []  # accepted since the mark, by their sends
        self._growth = GROWTH
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

    def _keep(self, spans: list[Span]) -> None:
        self._spans = spans
        self.known = sum(span.accepted for span in spans)
        self._took_s = sum(span.took_s for span in spans)

    # --- what happens -------------------------------------------------------------------------

    def accepted(self, sent_at: float, *, paced: bool) -> None:
        """A request was accepted; `paced` if it was the pace that held it back."""
        if self._mark is None or sent_at > self._mark:
            insort(self._sends, sent_at)
        if paced and self.guess is not None and not self._spans and self._mark is not None:
            passed = len(self._sends) / max(1e-3, sent_at - self._mark)
            if self.guess < GUESS_MAX * passed or len(self._sends) < SPAN_MIN:
                self.guess *= self._growth

    def undoubted(self, sent_at: float) -> None:
        """So much has passed without a refusal that the higher reading must be the right one."""
        assert self.doubt is not None
        self._keep([self.doubt])
        self.doubt = None
        self._begin(sent_at, full=True)

    def refused(
        self,
        sent_at: float,
        *,
        under_way: float,
        jitter_s: float,
        started_at: float,
        surprising: int,
        cheap: bool,
    ) -> Span:
        """A mark: the request that left at `sent_at` was refused. What passed since the last.

        `under_way`: requests that left before it and have no answer yet; they are taken to be
        accepted. `started_at`: when the first request left. `surprising`: so many of the last
        requests were more than was thought possible. `cheap`: whether refusals cost nothing.
        """
        cut = bisect_left(self._sends, sent_at)
        sends = self._sends[:cut]
        del self._sends[:cut]
        count = len(sends) + under_way
        since = started_at if self._mark is None else self._mark
        passed = Span(count, max(1e-3, sent_at - since), MARK_ERROR)
        self._blur = MARK_ERROR + JITTERS * jitter_s * (self.estimate or 0.0)
        if self._mark is None:
            self._first_per_s = max(1.0, count) / passed.took_s
            self._bursts.append(Burst(sends[-BURST_MAX:], sent_at))
            self._opening = sends[:OPENING_MAX]
        elif surprising and cheap:
            # What passed of late is nearer to it than all before; what comes next will tell.
            tail = sends[-surprising:]
            tail_s = max(1e-6, sent_at - tail[0])
            self._keep([Span(float(SPAN_MIN), SPAN_MIN * tail_s / len(tail), MARK_ERROR)])
        else:
            self._learn(sends, sent_at, count)
        self._mark, self._full, self._suggested, self._paused = sent_at, False, False, False
        estimate = self.estimate
        if estimate is not None and self._bursts:
            saved = sorted(burst.saved(estimate)[0] for burst in self._bursts)
            shown = ahead(self._opening, estimate) - AHEAD_BY
            self.saves = max(1.0, saved[len(saved) // 2], shown)
        return passed

    def recovered(self, sent_at: float, pause_s: float, *, told: bool) -> None:
        """A pause is over: the request that left at `sent_at` was accepted.

        `pause_s`: since the refusal left. `told`: the server asked for the pause.
        """
        estimate = self.estimate
        self._paused = told
        if estimate is not None:
            if told and self.doubt is None and estimate * pause_s > self.saves + 1:
                self._begin(sent_at, full=True)
        elif self.guess is None or self._first_per_s is None:
            fastest = 1e3 if self._first_per_s is None else self._first_per_s
            slowest = 1 / max(1e-3, pause_s)
            self.guess = max(slowest, min(math.sqrt(slowest * fastest), fastest))
            self._growth = DEAR_GROWTH if told else GROWTH

    def forget(self, at: float) -> None:
        """What was accepted until now tells nothing of the rate."""
        self._begin(at - 1e-3, full=False)
        self._sends = []

    def suggest(self, count: int, in_s: float) -> None:
        """So many were accepted in such a time, by another account."""
        self._keep([Span(float(count), in_s, SUGGESTED_ERROR * count)])
        self._suggested = True

    def _begin(self, at: float, *, full: bool) -> None:
        self._mark, self._full, self._sends = at, full, [at]

    # --- learning -----------------------------------------------------------------------------

    def _learn(self, sends: list[float], end: float, count: float) -> None:
        assert self._mark is not None
        known = self.estimate
        took_s = max(1e-6, end - self._mark)
        if count < 1 and known is not None and took_s < 1 / known:
            return
        span = Span(max(0.5, count), took_s, MARK_ERROR)
        burst = Burst(sends[-BURST_MAX:], end)
        if self._full:
            del self._bursts[1 : 2 - BURSTS_MAX]
            self._bursts.append(burst)
            found = agreed(self._bursts)
            if found is not None:
                self._keep([found])
        elif known is None:
            self._read_first(span, burst)
        elif self.doubt is not None:
            self._read_second(span, burst)
        elif self._paused and span.per_s < PAUSED_MIN * known:
            self._doubt_again(span, burst)
        elif self._suggested and span.per_s < SUGGESTED_MIN * known:
            self._keep([span])
        else:
            self._keep([*self._spans, span])
            while len(self._spans) > 1 and self.known - self._spans[0].accepted > KNOWN_MAX:
                self._keep(self._spans[1:])
            self._drop_contradicted()

    def _read_first(self, span: Span, burst: Burst) -> None:
        found = agreed([*self._bursts, burst])
        if found is not None and found.per_s < span.per_s:
            found = None  # nothing was left at the first mark, so it was not less than this
        most = DOUBT_SAVED * self._bursts[0].saved(span.per_s)[0] + DOUBT_SAVED_MIN
        if found is not None and burst.saved(span.per_s)[0] > most:
            span = found
        elif found is not None and span.accepted >= SPAN_MIN:
            self.doubt = found if found.per_s > DOUBT_MIN * span.per_s else None
        self._keep([span])

    def _doubt_again(self, span: Span, burst: Burst) -> None:
        """Less passed than was saved up in a pause, as far as known: so it saves up less."""
        self._bursts.append(burst)
        del self._bursts[1 : 1 - BURSTS_MAX]
        found = agreed(self._bursts)
        self._keep([span])
        if found is not None and found.per_s > DOUBT_MIN * span.per_s:
            self.doubt = found

    def _read_second(self, span: Span, burst: Burst) -> None:
        found = agreed([*self._bursts, burst])
        first = self._spans[-1]
        error = MARK_ERROR / span.accepted + MARK_ERROR / self.known
        agrees = abs(span.per_s / first.per_s - 1) < DOUBT_AGREES + error
        self._keep([found] if found is not None and not agrees else [*self._spans, span])
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
