"""Devices that record every frame, before anything is taken for a repetition."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from types import TracebackType
from typing import Self

import msgspec

from clarion.clock import SystemClock
from clarion.link.client_connection import ClientConnection, ConnectionEnded, connect
from clarion.link.protocol import VERSION, Ack, Challenge, Hello, Push, ServerFrame, Welcome, sign_hello
from clarion.link.registration import Platform, RegistrationAnswer, RegistrationRequest, sign_registration
from tests.support.client import Connection
from tests.support.server import Address
from tests.support.tenants import APP_ID, WORKSPACE_ID

_RETRY_SECONDS = 0.05


def registration(app_secret: str, **changes: object) -> dict[str, object]:
    """A signed registration of an Android device; `changes` are made after signing."""
    now, nonce = SystemClock().now_ms(), secrets.token_hex(16)
    signature = sign_registration(
        app_secret.encode(), APP_ID, WORKSPACE_ID, Platform.ANDROID, timestamp=now, nonce=nonce
    )
    request = RegistrationRequest(APP_ID, WORKSPACE_ID, Platform.ANDROID, now, nonce, signature)
    return {**msgspec.to_builtins(request), **changes}


async def register(connection: Connection, app_secret: str) -> RegistrationAnswer:
    """Register a new device over HTTP."""
    answer = await connection.post(
        json.dumps(registration(app_secret)).encode(), "/device/register", content_type="application/json"
    )
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body, type=RegistrationAnswer)


async def register_many(address: Address, app_secret: str, count: int) -> list[RegistrationAnswer]:
    """Register some devices."""
    async with Connection(address) as connection:
        return [await register(connection, app_secret) for _ in range(count)]


class Device:
    """A device that acknowledges all it gets and comes back at once when its connection ends.

    Attributes:
        token: its delivery token.
        received: how often each msgKey came over the wire.
        pushes: the last frame of each msgKey.
        closes: close codes of the connections that it had.
    """

    def __init__(self, link_url: str, identity: RegistrationAnswer) -> None:
        self._link_url = link_url
        self._identity = identity
        self._connected = asyncio.Event()
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.token = identity.delivery_token
        self.received: Counter[str] = Counter()
        self.pushes: dict[str, Push] = {}
        self.closes: list[int] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def online(self) -> None:
        """Wait until it is welcome."""
        await self._connected.wait()

    async def push(self, msg_key: str) -> Push:
        """Wait for the push of this key."""
        await self.has({msg_key})
        return self.pushes[msg_key]

    async def has(self, msg_keys: set[str], seconds: float = 30.0) -> None:
        """Wait until all of `msg_keys` came.

        Raises:
            AssertionError: some did not come in time.
        """
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: msg_keys <= self.received.keys())
        except TimeoutError:
            missing = msg_keys - self.received.keys()
            raise AssertionError(f"{len(missing)} of {len(msg_keys)} did not come: {sorted(missing)[:5]}") from None

    async def _run(self) -> None:
        while True:
            connection: ClientConnection | None = None
            try:
                connection = await connect(self._link_url, None)
                while True:
                    await self._on_frame(connection, await connection.receive())
            except ConnectionEnded as end:
                if self._connected.is_set():
                    self.closes.append(end.code)
            finally:
                self._connected.clear()
                if connection is not None:
                    connection.abort("the test leaves")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _on_frame(self, connection: ClientConnection, frame: ServerFrame) -> None:
        if isinstance(frame, Challenge):
            secret = self._identity.device_secret.encode()
            sig = sign_hello(secret, APP_ID, WORKSPACE_ID, self.token, frame.nonce)
            connection.send(
                Hello(
                    v=VERSION,
                    app_id=APP_ID,
                    workspace_id=WORKSPACE_ID,
                    token=self.token,
                    nonce=frame.nonce,
                    sig=sig,
                )
            )
        elif isinstance(frame, Welcome):
            self._connected.set()
        elif isinstance(frame, Push):
            connection.send(Ack(ids=[frame.id]))
            async with self._news:
                self.received[frame.msg_key] += 1
                self.pushes[frame.msg_key] = frame
                self._news.notify_all()
