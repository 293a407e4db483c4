"""Faults on demand: what goes wrong, for which requests, how often."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

MAX_FAULTS = 1_000


class FaultKind(Enum):
    """What goes wrong."""

    LATENCY = "latency"
    """The answer comes `seconds` later."""
    RESET = "reset"
    """The connection is reset after the request was read, and carried out."""
    REFUSE = "refuse"
    """The connection is reset before the request is looked at."""
    HALF = "half"
    """Half of the answer comes, then the end of the connection."""
    TRICKLE = "trickle"
    """The answer comes byte by byte, over `seconds`."""
    OVERRUN = "overrun"
    """The answer is twice as long as its `Content-Length` says."""
    STALL = "stall"
    """No answer ever comes."""
    STATUS = "status"
    """HTTP `status` with `body` (and `retry_after`) instead of the answer."""
    REDIRECT = "redirect"
    """HTTP 307 to the address in `body` instead of the answer."""
    GARBAGE = "garbage"
    """An answer of the right status whose body is no JSON."""
    HUGE = "huge"
    """An answer with a body of 10 MB."""
    CODE = "code"
    """The vendor's own `code` for the tokens it concerns, in the vendor's envelope."""
    EXPIRED_AUTH = "expired_auth"
    """Access tokens that were given out before are not good any more."""
    GOAWAY = "goaway"
    """HTTP/2: the gateway says goodbye after this request."""
    REFUSED_STREAM = "refused_stream"
    """HTTP/2: the stream is refused, unprocessed."""
    RECEIPT_TWICE = "receipt_twice"
    """Each receipt is sent twice."""
    RECEIPT_FIRST = "receipt_first"
    """Receipts arrive before the answer does."""


class Fault(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A fault.

    Attributes:
        channel: label of the channel it concerns.
        kind: what goes wrong.
        token: only requests for this device token (in their path, headers or body); with `code`, only this token of
            a batch.
        app: only requests with this app id, package or project in their path, headers or body.
        path: only paths that contain this text.
        skip: how many requests it lets pass first.
        count: how many requests it concerns; None for all.
        every: of the requests that it concerns, only every n-th.
        seconds: of `latency` and `trickle`.
        status: of `status`.
        body: of `status`, `redirect` and `goaway`.
        retry_after: seconds in a `Retry-After` header.
        code: of `code`.
        since: of `code`, where a vendor tells since when a token is not good, ms; None for the time of the answer.
    """

    channel: str
    kind: FaultKind
    token: str | None = None
    app: str | None = None
    path: str | None = None
    skip: Annotated[int, Meta(ge=0)] = 0
    count: Annotated[int, Meta(ge=1)] | None = None
    every: Annotated[int, Meta(ge=1)] = 1
    seconds: Annotated[float, Meta(ge=0, le=600)] = 1.0
    status: Annotated[int, Meta(ge=200, le=599)] = 503
    body: str = ""
    retry_after: int | None = None
    code: str = ""
    since: int | None = None

    def __post_init__(self) -> None:
        if self.kind is FaultKind.CODE and not self.code:
            raise ValueError("a fault of kind `code` needs a `code`")


class FaultBook:
    """The faults that are set."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._seen: dict[int, int] = {}

    def set(self, faults: Iterable[Fault]) -> None:
        """Add faults.

        Raises:
            ValueError: more than `MAX_FAULTS`.
        """
        added = list(faults)
        if len(self._faults) + len(added) > MAX_FAULTS:
            raise ValueError(f"at most {MAX_FAULTS} faults may be set")
        self._faults += added

    def clear(self, channel: str | None = None) -> None:
        """Take back all faults, or those of one channel."""
        self._faults = [fault for fault in self._faults if channel is not None and fault.channel != channel]
        self._seen = {id(fault): self._seen.get(id(fault), 0) for fault in self._faults}

    def listed(self) -> list[Fault]:
        """The faults that are set."""
        return list(self._faults)

    def concerns(self, channel: str) -> bool:
        """Whether any fault is set for a channel."""
        return any(fault.channel == channel for fault in self._faults)

    def strike(self, channel: str, kinds: Iterable[FaultKind], *, path: str = "", app: str = "") -> list[Fault]:
        """The faults of these kinds that concern a request, which counts as one more for each of them.

        Args:
            channel: label of the channel.
            kinds: the kinds that the caller can carry out.
            path: of the request.
            app: whatever of the request may name the app or a device.
        """
        wanted = frozenset(kinds)
        return [
            fault
            for fault in self._faults
            if fault.channel == channel
            and fault.kind in wanted
            and (fault.token is None or fault.token in app)
            and _meant(fault, path, app)
            and self._counts(fault)
        ]

    def code_for(self, channel: str, token: str, *, path: str = "", app: str = "") -> str | None:
        """The vendor's code that a `code` fault sets for a token, or None; counts as one for the fault."""
        fault = self.code_fault(channel, token, path=path, app=app)
        return None if fault is None else fault.code

    def code_fault(self, channel: str, token: str, *, path: str = "", app: str = "") -> Fault | None:
        """As `code_for`, with all that the fault says."""
        for fault in self._faults:
            if (
                fault.channel == channel
                and fault.kind is FaultKind.CODE
                and fault.token in (None, token)
                and _meant(fault, path, app)
                and self._counts(fault)
            ):
                return fault
        return None

    def _counts(self, fault: Fault) -> bool:
        seen = self._seen[id(fault)] = self._seen.get(id(fault), 0) + 1
        number = seen - fault.skip
        if number <= 0 or number % fault.every:
            return False
        return fault.count is None or number // fault.every <= fault.count


def _meant(fault: Fault, path: str, app: str) -> bool:
    return (fault.path is None or fault.path in path) and (fault.app is None or fault.app in app)
