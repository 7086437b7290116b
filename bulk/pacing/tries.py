"""Now and then a full window is tried with one request more: so a raised limit is found."""

from __future__ import annotations

SHARE = 0.003  # of requests that may be refused for trying
PATIENCE_MAX = 2  # times as many requests until the next try, where no try ever succeeds
MORE_SHARE = 0.1  # of the limit, tried at once where more passes: what a refusal then wastes


class Tries:
    """When to try, and how many requests: `extra` beyond the limit, 0 for none."""

    def __init__(self) -> None:
        self.extra = 0
        self._clean = 0
        self._patience = 1

    def filled(self, limit: int, *, full: bool) -> None:
        """A window is over. `full`: whether as many passed in it as its limit."""
        self._clean += full
        if self._clean * limit * SHARE >= self._patience:
            self.extra, self._clean = 1, 0

    def passed(self, limit: int) -> None:
        """It went well, and this is the limit now."""
        self.extra = min(2 * self.extra, max(1, int(MORE_SHARE * limit)))

    def refused(self, *, tried: bool) -> None:
        """A refusal; `tried`: of a try."""
        self.extra = 0
        if tried:
            self._patience, self._clean = min(PATIENCE_MAX, 2 * self._patience), 0
