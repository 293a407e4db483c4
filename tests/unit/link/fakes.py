"""A backend in memory and a transport that only remembers, for tests of the link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from clarion.clock import ManualClock
from clarion.link.backend import DeviceIdentity, EventKind, InboxEntry, VendorReport
from clarion.link.context import SessionContext
from clarion.link.hub import Hub
from clarion.link.limits import LinkLimits
from clarion.link.protocol import sign_hello
from clarion.link.session import Session, State
from clarion.link.websocket import FrameParser
from clarion.results import Refusal, ResultCode

SECRET = b"device-secret"
NONCE = "nonce-of-the-test"


def push(message: int, **fields: object) -> bytes:
    return json.dumps({"type": "push", "id": str(message), "msgKey": f"key-{message}", **fields}).encode()


class MemoryBackend:
    """Devices are named by their number: token `7` is device 7."""

    def __init__(self) -> None:
        self.waiting: dict[int, dict[int, bytes]] = {}
        self.acks: list[tuple[int, list[int]]] = []
        self.calls: list[tuple[object, ...]] = []
        self.sent_log: list[tuple[int, int]] = []
        self.inbox_reads = 0
        self.broken: set[str] = set()
        self.refusal: Refusal | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.acks_durable = asyncio.Event()
        self.acks_durable.set()

    def put(self, device: int, *messages: int, **fields: object) -> None:
        for message in messages:
            self.waiting.setdefault(device, {})[message] = push(message, **fields)

    async def _pass(self, name: str) -> None:
        await self.open.wait()
        if name in self.broken:
            raise RuntimeError(f"{name} is broken")
        if self.refusal is not None:
            raise self.refusal

    async def identify(self, app_id: str, workspace_id: str, token: str) -> DeviceIdentity | None:
        await self._pass("identify")
        if (app_id, workspace_id) != ("app", "ws") or not token.isdigit():
            return None
        return DeviceIdentity(device=int(token), app=1, secret=SECRET, user_id=None)

    async def inbox(self, device: int, after: int, limit: int) -> Sequence[InboxEntry]:
        self.inbox_reads += 1
        messages = sorted(self.waiting.get(device, {}).items())
        page = [InboxEntry(message, frame) for message, frame in messages if message > after][:limit]
        await self._pass("inbox")  # what is committed while this waits is not in the page
        return page

    def acked(self, device: int, messages: Sequence[int]) -> Awaitable[None]:
        self.acks.append((device, list(messages)))
        return self._acked(device, list(messages))

    async def _acked(self, device: int, messages: list[int]) -> None:
        await self.acks_durable.wait()
        if "acked" in self.broken:
            raise RuntimeError("acked is broken")
        for message in messages:
            self.waiting.get(device, {}).pop(message, None)

    async def event(self, device: int, message: int, kind: EventKind) -> None:
        await self._pass("event")
        self.calls.append(("event", device, message, kind))

    async def bind(self, device: int, user_id: str, phone: str | None) -> None:
        await self._pass("bind")
        if not user_id:
            raise Refusal(ResultCode.NEED_USERID)
        self.calls.append(("bind", device, user_id, phone))

    async def unbind(self, device: int, user_id: str) -> None:
        await self._pass("unbind")
        self.calls.append(("unbind", device, user_id))

    async def report(self, device: int, report: VendorReport) -> None:
        await self._pass("report")
        self.calls.append(("report", device, report.channel, report.vendor_token))

    def sent(self, device: int, messages: Sequence[int]) -> None:
        self.sent_log.extend((device, message) for message in messages)


class FutureBackend(MemoryBackend):
    """Answers acknowledgements with a future, as a backend with group commit does."""

    def acked(self, device: int, messages: Sequence[int]) -> Awaitable[None]:
        return asyncio.ensure_future(super().acked(device, messages))


class FakeTransport:
    """Keeps what is sent; `size` stands for the bytes in the socket's buffer."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.writes: list[int] = []
        self.size = 0
        self.reading = True
        self._parser = FrameParser(masked=False, max_size=1 << 20)

    def send(self, data: bytes, /) -> None:
        assert self.closed is None, "sent after the close frame"
        self.writes.append(len(data))
        self.frames.extend(json.loads(payload) for _, payload in self._parser.feed(data))

    def close(self, code: int, reason: str) -> None:
        assert self.closed is None, "closed twice"
        self.closed = (code, reason)

    def buffered(self) -> int:
        return self.size

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def pushed(self) -> list[int]:
        return [int(frame["id"]) for frame in self.frames if frame["type"] == "push"]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]


def frame(kind: str, /, **fields: object) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def hello(token: str = "7", nonce: str = NONCE, secret: bytes = SECRET, **fields: object) -> bytes:
    sig = sign_hello(secret, "app", "ws", token, nonce)
    values: dict[str, object] = {"v": 1, "appId": "app", "workspaceId": "ws", "token": token, "nonce": nonce}
    return frame("hello", **{**values, "sig": sig, **fields})


class World:
    """A hub, a backend, a clock and sessions that speak to fake transports."""

    def __init__(self, backend: MemoryBackend | None = None, **limits: float) -> None:
        self.backend = backend or MemoryBackend()
        self.clock = ManualClock()
        self.hub = Hub()
        self.limits = LinkLimits(**limits)  # type: ignore[arg-type]
        self.tasks: set[asyncio.Task[None]] = set()
        self.context = SessionContext(
            self.backend, self.hub, self.limits, self.clock, nonce=lambda: NONCE, spawn=self._spawn
        )

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def connect(self) -> tuple[Session, FakeTransport]:
        transport = FakeTransport()
        session = Session(self.context, transport)
        transport.send(session.challenge())
        return session, transport

    async def ready(self, token: str = "7") -> tuple[Session, FakeTransport]:
        session, transport = self.connect()
        session.on_text(hello(token))
        await self.settle()
        assert session.state is State.READY
        return session, transport

    async def in_state(self, state: State) -> tuple[Session, FakeTransport]:
        """A session that has come to this state by the allowed moves."""
        session, transport = self.connect()
        if state is State.AUTHENTICATING:
            self.backend.open.clear()
        if state is not State.AWAITING_HELLO:
            session.on_text(hello())
        if state is not State.AUTHENTICATING:
            await self.settle()
        if state is State.CLOSING:
            session.end(1000, "")
        if state is State.CLOSED:
            session.on_lost()
        assert session.state is state
        return session, transport

    async def settle_until(self, reached: Callable[[], bool]) -> None:
        """Let work go on step by step up to a moment."""
        for _ in range(100):
            if reached():
                return
            await asyncio.sleep(0)
        raise AssertionError("that moment did not come")

    async def settle(self) -> None:
        """Let all work that can go on go on."""
        for _ in range(20):
            await asyncio.sleep(0)
