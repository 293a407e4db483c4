"""Which message a session sends next: order, window and no message twice, without I/O."""

from __future__ import annotations

from collections.abc import Iterable


class Outbox:
    """The messages on their way to one device.

    New messages come in two ways: they are *offered* one by one as they are committed, and they are read from the
    device's inbox in *passes*, from some id up to the end. While a pass is wanted or under way nothing is written
    out of turn: an offer only asks for a pass, so that messages leave in order of their ids. A message that becomes
    visible late, with an id below one already sent, asks for a pass too.

    Args:
        window: how many messages may be sent and not acknowledged.
    """

    __slots__ = ("_forgotten", "_highest", "_position", "_settling", "_stale", "_unacked", "_window", "blocked")

    def __init__(self, window: int) -> None:
        self.blocked = False  # the socket's buffer is full
        self._window = window
        self._highest = 0  # largest id sent on this connection
        self._position: int | None = None  # where the pass under way has got to
        self._stale: int | None = 0  # a pass from here is wanted
        self._unacked: set[int] = set()
        self._settling: set[int] = set()  # acknowledged, but the inbox, or a page of it, may still show them
        self._forgotten: list[int] | None = None  # while a page is being read: what the inbox forgot since

    @property
    def has_room(self) -> bool:
        """Whether a message may be written now."""
        return not self.blocked and len(self._unacked) < self._window

    @property
    def wants_pass(self) -> bool:
        """Whether the inbox holds, or may hold, messages to send."""
        return self._position is not None or self._stale is not None

    def offer(self, message: int) -> bool:
        """Whether to write this message at once (and count it as sent); if not, a pass will find it."""
        if message > self._highest and not self.wants_pass and self.has_room:
            self._highest = message
            self._unacked.add(message)
            return True
        if message not in self._unacked and message not in self._settling:
            self.look_again(message - 1)
        return False

    def look_again(self, after: int = 0) -> None:
        """Ask for a pass over the inbox from `after` on."""
        self._stale = after if self._stale is None else min(after, self._stale)

    def next_read(self) -> int:
        """The id after which to read the next page; begins the wanted pass when none is under way."""
        if self._position is None:
            self._position, self._stale = self._stale or 0, None
        self._forgotten = []
        return self._position

    def admit(self, message: int) -> bool:
        """Whether to write the next entry of the page (and count it as sent); False when that was done before."""
        self._position = message
        if message in self._unacked or message in self._settling:
            return False
        self._highest = max(self._highest, message)
        self._unacked.add(message)
        return True

    def end_page(self, *, complete: bool) -> None:
        """The page has been admitted as far as there was room; `complete`: all of it, and it was the last."""
        if complete:
            self._position = None
        self._settling.difference_update(self._forgotten or ())
        self._forgotten = None

    def acknowledge(self, messages: Iterable[int]) -> list[int]:
        """Those of `messages` that were waiting for an acknowledgement; they settle until `settled` is called."""
        known = self._unacked.intersection(messages)
        self._unacked -= known
        self._settling |= known
        return list(known)

    def settled(self, messages: Iterable[int]) -> None:
        """The acknowledgements are durable: the inbox has forgotten these messages."""
        if self._forgotten is None:
            self._settling.difference_update(messages)
        else:
            self._forgotten.extend(messages)
