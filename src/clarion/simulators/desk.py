"""What becomes of a request, with the faults that are set; the same for HTTP/1.1 and HTTP/2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import unquote_plus

import structlog

from clarion.simulators.base import Receipt, Received, Reply, Simulator
from clarion.simulators.faults import Fault, FaultBook, FaultKind
from clarion.simulators.journal import Journal

log = structlog.get_logger(__name__)

HUGE_BODY = 10_000_000

TRANSPORT = frozenset(FaultKind) - {FaultKind.CODE, FaultKind.EXPIRED_AUTH}
"""Kinds that the host carries out; the others are the simulators' own business."""


class Ending(Enum):
    """How a request ends."""

    ANSWERED = "answered"
    HALF = "half"
    """Half of the answer, then the end of the connection."""
    TRICKLED = "trickled"
    """A byte at a time."""
    OVERRUN = "overrun"
    """With a `Content-Length` of half of it."""
    STALLED = "stalled"
    """Never."""
    RESET = "reset"
    """The connection is reset, with all that is under way on it."""
    REFUSED = "refused"
    """HTTP/2: the stream is refused."""


@dataclass(slots=True)
class Course:
    """What is to be done.

    Attributes:
        reply: the answer; None if the request was not processed.
        ending: how it ends.
        delay: seconds before that.
        spread: seconds over which an answer trickles.
        farewell: a fault that wants the connection to come to its end after this request, in good order.
        receipts: callbacks to make, in full.
        receipts_first: whether they come before the answer.
    """

    reply: Reply | None
    ending: Ending = Ending.ANSWERED
    delay: float = 0.0
    spread: float = 0.0
    farewell: Fault | None = None
    receipts: Sequence[Receipt] = ()
    receipts_first: bool = False


class Desk:
    """Hands requests to a simulator, strikes with faults, and keeps the journal.

    Attributes:
        simulator: whom it serves.
    """

    def __init__(self, simulator: Simulator, faults: FaultBook, journal: Journal) -> None:
        self.simulator = simulator
        self._label = simulator.label
        self._faults = faults
        self._journal = journal

    def take(self, request: Received) -> Course:
        """Carry a request out, unless a fault keeps it from that."""
        if not self._faults.concerns(self._label):
            reply = self._handled(request)
            self._journal.add(self._label, request, reply)
            return Course(reply, receipts=reply.receipts)
        struck = self._faults.strike(self._label, TRANSPORT, path=request.path, app=_text(request))
        return self._struck(request, {fault.kind: fault for fault in struck})

    def _struck(self, request: Received, faults: dict[FaultKind, Fault]) -> Course:
        if FaultKind.REFUSE in faults:
            return Course(None, Ending.RESET)
        if FaultKind.REFUSED_STREAM in faults and request.peer.http2:
            return Course(None, Ending.REFUSED)
        instead = faults.get(FaultKind.STATUS) or faults.get(FaultKind.REDIRECT)
        reply = _spoilt(_instead(instead) if instead else self._handled(request), faults)
        self._journal.add(self._label, request, reply)
        latency, trickle = faults.get(FaultKind.LATENCY), faults.get(FaultKind.TRICKLE)
        return Course(
            reply,
            next((ending for kind, ending in _ENDINGS.items() if kind in faults), Ending.ANSWERED),
            latency.seconds if latency else 0.0,
            trickle.seconds if trickle else 0.0,
            faults.get(FaultKind.GOAWAY),
            tuple(reply.receipts) * (2 if FaultKind.RECEIPT_TWICE in faults else 1),
            FaultKind.RECEIPT_FIRST in faults,
        )

    def _handled(self, request: Received) -> Reply:
        try:
            return self.simulator.handle(request)
        except Exception:
            log.exception("a simulator failed", channel=self._label)
            return Reply(500, outcome="simulator failed", detail="the program's own fault; its log has it")


_ENDINGS = {
    FaultKind.RESET: Ending.RESET,
    FaultKind.STALL: Ending.STALLED,
    FaultKind.HALF: Ending.HALF,
    FaultKind.OVERRUN: Ending.OVERRUN,
    FaultKind.TRICKLE: Ending.TRICKLED,
}
"""Of several, the first."""


def _instead(fault: Fault) -> Reply:
    """The answer that a fault wants; the simulator does not get to see the request."""
    if fault.kind is FaultKind.REDIRECT:
        return Reply(307, b"", {"Location": fault.body}, outcome="redirect", detail="a fault")
    headers = {"Content-Type": "application/json" if fault.body.startswith(("{", "[")) else "text/plain"}
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    return Reply(fault.status, fault.body.encode(), headers, outcome=f"status {fault.status}", detail="a fault")


def _spoilt(reply: Reply, faults: dict[FaultKind, Fault]) -> Reply:
    if FaultKind.GARBAGE in faults:
        return replace(reply, body=b"<html><body>\xff\xfe no JSON")
    if FaultKind.HUGE in faults:
        return replace(reply, body=reply.body.rjust(HUGE_BODY))
    return reply


def _text(request: Received) -> str:
    """All of a request that may name an app or a device."""
    body = request.body.decode("utf-8", "replace")
    return "\n".join((request.path, request.query, *request.headers.values(), body, unquote_plus(body)))
