"""Reference client of the device link (docs/link-protocol.md): a device in Python."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import re
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from clarion.clock import Clock, SystemClock
from clarion.link.backend import EventKind
from clarion.link.client_connection import ClientConnection, ConnectionEnded, connect, split_url
from clarion.link.protocol import (
    MAX_ACKS,
    VERSION,
    Ack,
    Bind,
    Challenge,
    Event,
    Hello,
    LinkClose,
    Push,
    Report,
    Result,
    Revoke,
    ServerFrame,
    Unbind,
    Welcome,
    sign_hello,
)
from clarion.link.websocket import CloseCode

_log = logging.getLogger(__name__)
_FINAL: Final = frozenset({LinkClose.REPLACED, LinkClose.BAD_CREDENTIALS})
_FIRST_DELAY, _LONGEST_DELAY, _STABLE_AFTER = 1.0, 120.0, 60.0
_WELCOME_TIMEOUT, _ANSWER_TIMEOUT, _PONG_PATIENCE = 15.0, 30.0, 20.0
_REMEMBERED, _QUEUED = 1_000, 256
_RETRY_AFTER = re.compile(r"retry-after=(\d{1,4})\Z")


class CredentialsRejected(Exception):
    """The server does not know this device, or its secret is wrong: register again."""


class LinkLost(Exception):
    """The connection ended before the answer came; whether the request was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection ended.

    Attributes:
        code: close code; 1006 when the connection was lost or never came about.
        reason: why.
        retry_in: seconds until the next attempt, None when there will be none.
    """

    code: int
    reason: str
    retry_in: float | None


LinkEvent = Welcome | Push | Revoke | Closed
Handler = Callable[..., Awaitable[None] | None]


class LinkClient:
    """A device that stays connected.

    Use it as `async with LinkClient(…) as client:`. Without `on_push` iterate over it for all events
    (`async for event in client`); events wait for the reader, and so does the server. With `on_push` nothing is
    queued. A push is acknowledged once its handler returned or the iteration gave it out; one whose handler raised
    comes again on the next connection. Pushes that the server repeats are acknowledged and passed over.

    Args:
        url: address of the link, `ws://…/link` or `wss://…/link`.
        app_id: the app.
        workspace_id: its workspace.
        token: delivery token of the device.
        secret: device secret.
        on_push: called (or awaited) with each `Push`.
        on_revoke: the same for each `Revoke`.
        auto_ack: False leaves it to the caller to `ack`.
        ssl: TLS settings for wss, the system's if None.
        heartbeat: wished seconds between pings.
        clock: source of time.
        rand: random numbers in [0, 1), for the jitter.
        sleep: waits some seconds.

    Raises:
        ValueError: `url` is no WebSocket address.
    """

    def __init__(
        self,
        url: str,
        app_id: str,
        workspace_id: str,
        token: str,
        secret: str,
        *,
        on_push: Handler | None = None,
        on_revoke: Handler | None = None,
        auto_ack: bool = True,
        ssl: ssl.SSLContext | None = None,
        heartbeat: int = 240,
        clock: Clock | None = None,
        rand: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        split_url(url)  # a wrong address is an error of the caller, not of the network
        self._url = url
        self._app_id, self._workspace_id, self._token = app_id, workspace_id, token
        self._secret = secret.encode()
        self._on_push, self._on_revoke = on_push, on_revoke
        self._auto_ack = auto_ack
        self._ssl = ssl
        self._heartbeat = heartbeat
        self._clock = clock or SystemClock()
        self._rand, self._sleep = rand, sleep
        self._events: asyncio.Queue[LinkEvent | None] = asyncio.Queue(_QUEUED)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._waiting: set[str] = set()  # ids of messages that nobody has taken from the queue yet
        self._connection: ClientConnection | None = None
        self._ready = asyncio.Event()
        self._results: dict[str, asyncio.Future[Result]] = {}
        self._requests = 0
        self._task: asyncio.Task[None] | None = None
        self._rejected = ""

    # Life.

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Take leave of the server and stop; again does no harm."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def wait_closed(self) -> None:
        """Wait until the client has stopped for good.

        Raises:
            CredentialsRejected: the server does not accept the device.
        """
        if self._task is not None:
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.result()
        self._raise_if_rejected()

    async def __aiter__(self) -> AsyncIterator[LinkEvent]:
        """All events until the client stops.

        Raises:
            CredentialsRejected: after the last event, if the server does not accept the device.
        """
        while (event := await self._events.get()) is not None:
            if isinstance(event, Push | Revoke):
                self._waiting.discard(event.id)
                if self._auto_ack:
                    self.ack(event.id)
            yield event
        self._events.put_nowait(None)
        await self.wait_closed()

    # What a device says.

    def ack(self, *ids: str) -> None:
        """Acknowledge messages; without a connection nothing is sent, and the server repeats them."""
        if self._connection is not None and self._ready.is_set():
            for start in range(0, len(ids), MAX_ACKS):
                self._connection.send(Ack(ids=list(ids[start : start + MAX_ACKS])))

    async def opened(self, message: str) -> None:
        """Report that the user opened the notification; waits for a connection."""
        (await self._connected()).send(Event(id=message, kind=EventKind.OPEN))

    async def ignored(self, message: str) -> None:
        """Report that the user swiped the notification away; waits for a connection."""
        (await self._connected()).send(Event(id=message, kind=EventKind.IGNORE))

    async def bind(self, user_id: str, phone: str | None = None) -> Result:
        """Bind the device to a user; waits for a connection and for the answer.

        Raises:
            LinkLost: no answer came.
            CredentialsRejected: the server does not accept the device.
        """
        return await self._ask(lambda rid: Bind(rid=rid, user_id=user_id, phone=phone))

    async def unbind(self, user_id: str) -> Result:
        """Undo the binding; like `bind`."""
        return await self._ask(lambda rid: Unbind(rid=rid, user_id=user_id))

    async def report(
        self, channel: str, vendor_token: str, *, model: str | None = None, app_version: str | None = None
    ) -> Result:
        """Report the token of a vendor's SDK; like `bind`."""
        return await self._ask(
            lambda rid: Report(
                rid=rid, channel=channel, vendor_token=vendor_token, model=model, app_version=app_version
            )
        )

    async def _ask(self, make: Callable[[str], Bind | Unbind | Report]) -> Result:
        connection = await self._connected()
        self._requests += 1
        rid = str(self._requests)
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._results[rid] = answer
        try:
            connection.send(make(rid))
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                return await answer
        except TimeoutError:
            raise LinkLost("no answer in time") from None
        finally:
            del self._results[rid]

    async def _connected(self) -> ClientConnection:
        await self._ready.wait()
        self._raise_if_rejected()
        if self._connection is None:
            raise LinkLost("the client has stopped")
        return self._connection

    def _raise_if_rejected(self) -> None:
        if self._rejected:
            raise CredentialsRejected(self._rejected)

    # Connections, one after the other.

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                began = self._clock.monotonic()
                end = await self._one_connection()
                failures = 1 if self._clock.monotonic() - began >= _STABLE_AFTER else failures + 1
                delay = None if end.code in _FINAL else self._delay(failures, end.reason)
                if end.code == LinkClose.BAD_CREDENTIALS:
                    self._rejected = end.reason or "unknown device or wrong signature"
                await self._emit(Closed(end.code, end.reason, delay))
                if delay is None:
                    return
                await self._sleep(delay)
        finally:
            self._ready.set()  # whoever waits learns that there is no connection
            if self._events.full():
                self._events.get_nowait()
            self._events.put_nowait(None)

    def _delay(self, failures: int, reason: str) -> float:
        """Seconds to wait: the server's hint, or exponential back-off with full jitter."""
        hint = _RETRY_AFTER.search(reason)
        if hint is not None:
            return min(float(hint[1]), _LONGEST_DELAY)
        return self._rand() * min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures, 10))

    async def _one_connection(self) -> ConnectionEnded:
        keeper: asyncio.Task[None] | None = None
        connection: ClientConnection | None = None
        try:
            connection = await connect(self._url, self._ssl)
            async with asyncio.timeout(_WELCOME_TIMEOUT):
                welcome = await self._say_hello(connection)
            keeper = asyncio.create_task(connection.keep_alive(welcome.heartbeat, _PONG_PATIENCE, self._sleep))
            self._connection = connection
            self._ready.set()
            await self._emit(welcome)
            while True:
                await self._on_frame(await connection.receive())
        except ConnectionEnded as end:
            return end
        except TimeoutError:
            return ConnectionEnded(CloseCode.ABNORMAL, "no welcome in time")
        finally:
            self._connection = None
            self._ready.clear()
            if keeper is not None:
                keeper.cancel()
            for answer in self._results.values():
                if not answer.done():
                    answer.set_exception(LinkLost("the connection ended before the answer"))
            if connection is not None:
                await connection.close()

    async def _say_hello(self, connection: ClientConnection) -> Welcome:
        while True:
            frame = await connection.receive()
            if isinstance(frame, Challenge):
                nonce = frame.nonce
                sig = sign_hello(self._secret, self._app_id, self._workspace_id, self._token, nonce)
                connection.send(Hello(
                    v=VERSION, app_id=self._app_id, workspace_id=self._workspace_id, token=self._token,
                    nonce=nonce, sig=sig, heartbeat=self._heartbeat, client="clarion-python",
                ))  # fmt: skip
            elif isinstance(frame, Welcome):
                return frame

    async def _on_frame(self, frame: ServerFrame) -> None:
        if isinstance(frame, Push | Revoke):
            await self._on_message(frame)
        elif isinstance(frame, Result):
            answer = self._results.get(frame.rid)
            if answer is not None and not answer.done():
                answer.set_result(frame)

    async def _on_message(self, message: Push | Revoke) -> None:
        if message.id in self._seen:
            self._seen.move_to_end(message.id)
            if self._auto_ack and message.id not in self._waiting:
                self.ack(message.id)
            return
        if await self._emit(message):
            self._seen[message.id] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    async def _emit(self, event: LinkEvent) -> bool:
        """Hand an event to its handler or to the queue; False when the handler failed."""
        if self._on_push is None:
            if isinstance(event, Push | Revoke):
                self._waiting.add(event.id)
            await self._events.put(event)
            return True
        handlers: dict[type, Handler | None] = {Push: self._on_push, Revoke: self._on_revoke}
        handler = handlers.get(type(event))
        try:
            if handler is not None and inspect.isawaitable(outcome := handler(event)):
                await outcome
        except Exception:
            _log.exception("the handler of a %s failed", type(event).__name__.lower())
            return False
        if self._auto_ack and isinstance(event, Push | Revoke):
            self.ack(event.id)
        return True
