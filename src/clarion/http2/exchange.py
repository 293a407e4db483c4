"""A request and its end, as values."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, NamedTuple

from clarion.http2.frames import ErrorCode
from clarion.http2.headers import Header


class Fate(Enum):
    """What became of a request."""

    ANSWERED = "answered"
    UNPROCESSED = "unprocessed"
    """The peer says that it did not look at it: it may be sent again, with the same id."""
    RESET = "reset"
    """The peer gave it up after looking at it: it may have been carried out or not."""
    LOST = "lost"
    """The connection ended before the answer: it may have been carried out or not."""
    CANCELLED = "cancelled"
    """This side gave it up; it may have been carried out or not."""


class Answer(NamedTuple):
    """The end of a request.

    Attributes:
        fate: what became of it.
        status: the HTTP status; 0 unless it was answered.
        headers: the answer's headers, names in lower case; usually not read, and empty, for a 200.
        body: the answer's body.
        detail: for people: why it was not answered.
    """

    fate: Fate
    status: int = 0
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    detail: str = ""


OK: Final = Answer(Fate.ANSWERED, 200)
Completed = tuple[Any, Answer]
"""A request, by the tag that its sender gave it, and its end."""


class ProtocolError(Exception):
    """The peer broke the protocol; the connection is of no further use."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code


class Stream:
    """A request that is not finished.

    Attributes:
        tag: what its end is told with.
        window: how many bytes of its body the peer still takes.
        unsent: what of its body has not been sent.
        status: of the answer, once its headers came.
        headers: of the answer.
        body: of the answer, as far as it came.
    """

    __slots__ = ("body", "headers", "status", "tag", "unsent", "window")

    def __init__(self, tag: Any, window: int) -> None:
        self.tag = tag
        self.window = window
        self.unsent: memoryview | None = None
        self.status = 0
        self.headers: tuple[Header, ...] = ()
        self.body = b""

    def answer(self) -> Answer:
        """The answer that has come."""
        return Answer(Fate.ANSWERED, self.status, self.headers, self.body)
