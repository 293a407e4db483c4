"""One device's connection as a state machine, without sockets."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from clarion.failures import StoreUnavailable
from clarion.link.outbox import Outbox
from clarion.link.protocol import (
    VERSION,
    Ack,
    Bind,
    Challenge,
    ClientFrame,
    Error,
    Event,
    Failure,
    Hello,
    Ping,
    Pong,
    Report,
    Result,
    Unbind,
    Welcome,
    decode_client_frame,
    encode,
    verify_hello,
)
from clarion.link.websocket import text_frame
from clarion.results import Refusal, ResultCode

if TYPE_CHECKING:
    from clarion.link.backend import InboxEntry
    from clarion.link.context import SessionContext, Transport

_log = logging.getLogger(__name__)
_NEVER = float("inf")
_PONG: Final = text_frame(encode(Pong()))


class State(Enum):
    """Where a session stands."""

    AWAITING_HELLO = "awaiting hello"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


MOVES: Mapping[State, frozenset[State]] = {
    State.AWAITING_HELLO: frozenset({State.AUTHENTICATING, State.CLOSING, State.CLOSED}),
    State.AUTHENTICATING: frozenset({State.READY, State.CLOSING, State.CLOSED}),
    State.READY: frozenset({State.CLOSING, State.CLOSED}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""The allowed moves of a session."""

_ENDED: Final = (State.CLOSING, State.CLOSED)


class Session:
    """A device's connection from the challenge to its end.

    The owner of the socket calls `challenge` once, then the `on_…` methods as things happen; the hub calls
    `deliver`, `wake`, `fail` and `end`.

    Attributes:
        state: where the session stands.
        device: internal number of the device, once the session is ready.
        deadline: monotonic time at which `on_deadline` is to be called.
    """

    __slots__ = (
        "_context", "_nonce", "_outbox", "_patience", "_pumping", "_requests", "_transport",
        "deadline", "device", "stall_deadline", "state",
    )  # fmt: skip

    def __init__(self, context: SessionContext, transport: Transport) -> None:
        self.state = State.AWAITING_HELLO
        self.device = 0
        self.deadline = context.clock.monotonic() + context.limits.hello_timeout
        self.stall_deadline = _NEVER
        self._context = context
        self._transport = transport
        self._nonce = context.nonce()
        self._patience = 0.0
        self._outbox = Outbox(context.limits.window)
        self._pumping = False
        self._requests: deque[Bind | Unbind | Report | Event] | None = None  # None: nobody works on any

    # What the socket tells.

    def challenge(self) -> bytes:
        """The first frame, for the write that carries the answer to the handshake."""
        return text_frame(encode(Challenge(nonce=self._nonce)))

    def on_text(self, payload: bytes) -> None:
        """A text message arrived."""
        if self.state in _ENDED:
            return
        try:
            frame = decode_client_frame(payload)
        except (msgspec.MsgspecError, RecursionError) as error:
            self.fail(Failure.MALFORMED, str(error))
            return
        if frame is None:
            return
        states, handler = self._HANDLERS[type(frame)]
        if self.state in states:
            handler(self, frame)
        else:
            name = frame.__struct_config__.tag
            self.fail(Failure.OUT_OF_TURN, f"{name} is not expected while {self.state.value}")

    def on_bytes(self, now: float) -> None:
        """Anything at all arrived: the device is alive."""
        if self.state is State.READY:
            self.deadline = now + self._patience

    def on_full(self) -> None:
        """The socket's buffer is over its high mark."""
        self._outbox.blocked = True
        self.stall_deadline = self._context.clock.monotonic() + self._context.limits.stall_timeout

    def on_drained(self) -> None:
        """The socket's buffer is below its low mark."""
        self._outbox.blocked = False
        self.stall_deadline = _NEVER
        self._start_pump()

    def on_deadline(self, now: float) -> None:
        """`deadline` or `stall_deadline` has passed."""
        if self.state in _ENDED:
            return
        if now >= self.stall_deadline:
            self.fail(Failure.TOO_SLOW, "the device does not take its messages")
        elif self.state is State.READY:
            self.fail(Failure.IDLE, "no sign of life")
        else:
            self.fail(Failure.HELLO_TIMEOUT, "no good hello in time")

    def on_lost(self) -> None:
        """The connection is gone."""
        if self.state is not State.CLOSED:
            self._move(State.CLOSED)
            self._context.registry.unregister(self)

    def reply(self, data: bytes) -> None:
        """Write frames that answer the device; one that asks without reading the answers is cut."""
        if self._transport.is_closing():
            return
        self._transport.send(data)
        if self._outbox.blocked and self._transport.buffered() > self._context.limits.buffer_max:
            self.fail(Failure.TOO_SLOW, "the device does not read its answers")

    # What the hub tells.

    def deliver(self, message: int, data: bytes) -> None:
        """Send the WebSocket frame of a message that is in the device's inbox, now or in its turn."""
        if self._outbox.offer(message):
            self._transport.send(data)
            self._context.backend.sent(self.device, (message,))
        elif not self._pumping:
            self._start_pump()

    def wake(self) -> None:
        """Look into the inbox again, from its beginning: new entries may have ids below those sent."""
        self._outbox.look_again()
        self._start_pump()

    def fail(self, failure: Failure, message: str) -> None:
        """End the session for `failure`; `message` is for the people at the other end."""
        if self.state in _ENDED:
            return
        if failure.error_code is not None:
            self._transport.send(text_frame(encode(Error(code=failure.error_code, message=message))))
        self.end(failure.close_code, message)

    def end(self, code: int, reason: str) -> None:
        """Close the connection; again and again does no harm."""
        if self.state in _ENDED:
            return
        self._move(State.CLOSING)
        self.deadline = self._context.clock.monotonic() + self._context.limits.close_timeout
        self.stall_deadline = _NEVER
        self._context.registry.unregister(self)
        self._transport.close(code, reason)
        _log.debug("device %d is sent away: %d %s", self.device, code, reason)

    # Frames by state.

    def _on_hello(self, hello: Hello) -> None:
        if hello.v != VERSION:
            self.fail(Failure.VERSION, f"version {VERSION} is spoken here")
        elif hello.nonce != self._nonce:
            self.fail(Failure.STALE_NONCE, "the nonce is not the one of this connection's challenge")
        else:
            self._move(State.AUTHENTICATING)
            self.deadline = self._context.clock.monotonic() + self._context.limits.hello_timeout
            self._spawn(self._authenticate(hello))

    def _on_ack(self, ack: Ack) -> None:
        known = self._outbox.acknowledge(ack.messages())
        if known:
            recorded = self._context.backend.acked(self.device, known)
            if isinstance(recorded, asyncio.Future):  # spares a task for every ack
                recorded.add_done_callback(lambda done: self._on_recorded(done, known))
            else:
                self._spawn(self._settle(recorded, known))
            self._start_pump()

    def _on_request(self, request: Bind | Unbind | Report | Event) -> None:
        if self._requests is None:
            self._requests = deque()
            self._spawn(self._serve_requests(self._requests))
        self._requests.append(request)
        if len(self._requests) == self._context.limits.requests:
            self._transport.pause_reading()

    def _on_ping(self, _: Ping) -> None:
        self.reply(_PONG)

    # Work that waits for the backend.

    async def _authenticate(self, hello: Hello) -> None:
        context = self._context
        try:
            identity = await context.backend.identify(hello.app_id, hello.workspace_id, hello.token)
        except Refusal as refusal:
            self.fail(Failure.REFUSED, refusal.message)
            return
        if self.state is not State.AUTHENTICATING:
            return
        if identity is None or not verify_hello(hello, identity.secret):
            self.fail(Failure.BAD_CREDENTIALS, "unknown device or wrong signature")
            return
        heartbeat = context.limits.heartbeat(hello.heartbeat)
        self._move(State.READY)
        self.device = identity.device
        self._patience = heartbeat * context.limits.patience
        self.on_bytes(context.clock.monotonic())
        # Registered before the inbox is read: a message committed in between is seen by one of the two.
        context.registry.register(self)
        welcome = Welcome(
            session=self._nonce, heartbeat=heartbeat, time=context.clock.now_ms(), user_id=identity.user_id
        )
        self._transport.send(text_frame(encode(welcome)))
        _log.debug("device %d is connected, client %r", self.device, hello.client)
        self._start_pump()

    def _start_pump(self) -> None:
        if self._can_pump() and not self._pumping:
            self._pumping = True
            self._spawn(self._pump())

    def _can_pump(self) -> bool:
        return self.state is State.READY and self._outbox.wants_pass and self._outbox.has_room

    async def _pump(self) -> None:
        context, outbox = self._context, self._outbox
        try:
            while self._can_pump():
                page = await context.backend.inbox(self.device, outbox.next_read(), context.limits.page)
                if self.state is not State.READY:
                    return
                self._send_page(page)
        finally:
            self._pumping = False

    def _send_page(self, page: Sequence[InboxEntry]) -> None:
        """Send as much of the page as there is room for, in one write."""
        limits, outbox = self._context.limits, self._outbox
        frames, messages, size = [], [], 0
        complete = len(page) < limits.page
        for entry in page:
            if not outbox.has_room or size >= limits.buffer_high:
                complete = False
                break
            if outbox.admit(entry.message):
                frames.append(text_frame(entry.frame))
                messages.append(entry.message)
                size += len(entry.frame)
        outbox.end_page(complete=complete)
        if frames:
            self._transport.send(b"".join(frames))
            self._context.backend.sent(self.device, messages)

    async def _serve_requests(self, requests: deque[Bind | Unbind | Report | Event]) -> None:
        """Carry the requests out one after the other, in the order in which they came."""
        while requests:
            await self._serve(requests[0])
            requests.popleft()
            if len(requests) == self._context.limits.requests // 2:
                self._transport.resume_reading()
        self._requests = None

    async def _serve(self, request: Bind | Unbind | Report | Event) -> None:
        backend, device = self._context.backend, self.device
        if isinstance(request, Event):
            await backend.event(device, int(request.id), request.kind)
            return
        result, message = ResultCode.SUCCESS, ResultCode.SUCCESS.text
        try:
            match request:
                case Bind():
                    await backend.bind(device, request.user_id, request.phone)
                case Unbind():
                    await backend.unbind(device, request.user_id)
                case Report():
                    await backend.report(device, request)
        except Refusal as refusal:
            result, message = refusal.result, refusal.message
        if self.state is State.READY:
            self.reply(text_frame(encode(Result(rid=request.rid, code=result.code, message=message))))

    async def _settle(self, recorded: Awaitable[None], messages: Sequence[int]) -> None:
        await recorded
        self._outbox.settled(messages)

    def _on_recorded(self, recorded: asyncio.Future[None], messages: Sequence[int]) -> None:
        if recorded.cancelled() or (error := recorded.exception()) is None:
            self._outbox.settled(messages)
        else:
            self._on_broken(error)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        self._context.spawn(self._guarded(work))

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:
            self._on_broken(error)

    def _on_broken(self, error: BaseException) -> None:
        """The backend failed: end this session; the device finds all its messages when it comes back."""
        if isinstance(error, StoreUnavailable):
            # Every device meets it at once, and the store says it already.
            _log.warning("the database was not available for device %d", self.device)
        else:
            _log.error("the link's backend failed for device %d", self.device, exc_info=error)
        self.fail(Failure.INTERNAL, "internal error")

    def _move(self, state: State) -> None:
        if state not in MOVES[self.state]:
            raise RuntimeError(f"a session cannot move from {self.state.value} to {state.value}")
        self.state = state

    # Who takes which frame, in which states; elsewhere it is out of turn. (Keyed by type, since the hash of an
    # enum's member is slow.)
    _HANDLERS: ClassVar[Mapping[type[ClientFrame], tuple[Sequence[State], Callable[[Session, Any], None]]]] = {
        Hello: ((State.AWAITING_HELLO,), _on_hello),
        Ping: ((State.AWAITING_HELLO, State.AUTHENTICATING, State.READY), _on_ping),
        Ack: ((State.READY,), _on_ack),
        Event: ((State.READY,), _on_request),
        Bind: ((State.READY,), _on_request),
        Unbind: ((State.READY,), _on_request),
        Report: ((State.READY,), _on_request),
    }
