"""When so many tokens are refused at once that a wrong setting is likelier than so many dead tokens. Pure.

An APNs channel with the other environment, another app's package or another project's account makes a vendor refuse
every token. Tokens that were forgotten for it come back only when each app is started again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from clarion.channels.base import Accepted, InvalidToken, SendOutcome


def counted(outcomes: Iterable[SendOutcome]) -> tuple[int, int]:
    """How many tokens were refused, and of how many a vendor said whether they are good."""
    kinds = Counter(map(type, outcomes))
    return kinds[InvalidToken], kinds[InvalidToken] + kinds[Accepted]


class Guard:
    """Keeps the tokens of one (app, channel) while too many are refused.

    It closes when more than `share` of the outcomes of the last `seconds`, or of one batch alone, are refusals, if
    they are `least` outcomes or more. It opens when that was not so for `seconds`.

    Args:
        share: of refusals, 0 to 1.
        least: how many outcomes are needed to say anything.
        seconds: width of the sliding window, which has whole seconds.

    Attributes:
        closed: whether tokens are kept, as of the last outcomes.
        invalid: tokens refused in the window, as of the last outcomes.
        total: outcomes in the window.
    """

    def __init__(self, share: float = 0.2, least: int = 50, seconds: float = 60.0) -> None:
        self.closed = False
        self.invalid = self.total = 0
        self._share = share
        self._least = least
        self._seconds = seconds
        self._window: deque[tuple[int, int, int]] = deque()  # second, refused, of
        self._closed_at = 0.0  # when it was over the limit last

    def judge(self, now: float, invalid: int, total: int) -> bool:
        """Take the outcomes of a batch into account; whether its refused tokens may be forgotten.

        Args:
            now: monotonic time, s.
            invalid: tokens of the batch that were refused.
            total: outcomes of the batch that say whether a token is good.
        """
        self._add(now, invalid, total)
        if self._excessive(invalid, total) or self._excessive(self.invalid, self.total):
            self.closed, self._closed_at = True, now
        elif now - self._closed_at >= self._seconds:
            self.closed = False
        return not self.closed

    def _add(self, now: float, invalid: int, total: int) -> None:
        second, window = int(now), self._window
        if window and window[-1][0] == second:
            _, refused, of = window.pop()
            window.append((second, refused + invalid, of + total))
        else:
            window.append((second, invalid, total))
        self.invalid += invalid
        self.total += total
        while window[0][0] <= now - self._seconds:
            _, refused, of = window.popleft()
            self.invalid -= refused
            self.total -= of

    def _excessive(self, invalid: int, total: int) -> bool:
        return total >= self._least and invalid > self._share * total
