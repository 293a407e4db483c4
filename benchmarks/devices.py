"""Many devices in one process: a bare protocol object each, so that the client is not what is measured.

`python -m benchmarks.devices PORT COUNT [--ack]` is a process of its own: device `n` has the token `n` and the
secret `SECRET`. It prints one line when all are connected and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from collections.abc import Callable, Sequence
from typing import cast

import uvloop

from benchmarks.figures import BenchmarkFailed
from benchmarks.server import APP_ID, HOST, WORKSPACE_ID, raise_file_limit
from clarion.devices.model import Registration
from clarion.link import handshake
from clarion.link.protocol import (
    PATH,
    VERSION,
    Ack,
    Challenge,
    ClientFrame,
    Hello,
    Push,
    Welcome,
    decode_server_frame,
    encode,
    sign_hello,
)
from clarion.link.websocket import TEXT, FrameParser, Opcode, masked_frame

SECRET = "bench"
_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_MASK = b"\x12\x34\x56\x78"
_AT_ONCE = 64
_DEADLINE = 90.0
_MAX_MESSAGE = 64 * 1024


class Device(asyncio.Protocol):
    """One device: handshake, hello, then pushes.

    Args:
        registration: its token and secret.
        on_push: called with the device and each push.
    """

    def __init__(self, registration: Registration, on_push: Callable[[Device, Push], None] | None) -> None:
        self._registration = registration
        self._on_push = on_push
        self._head: bytes | None = b""
        self._parser = FrameParser(masked=False, max_size=_MAX_MESSAGE)
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(handshake.request(HOST, PATH, _KEY))

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            head, separator, data = (self._head + data).partition(handshake.HEAD_END)
            if not separator:
                self._head = head
                return
            handshake.check_response(head + separator, _KEY)
            self._head = None
        for opcode, payload in self._parser.feed(data):
            if opcode == TEXT:
                self._on_text(payload)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.welcomed.done():
            self.welcomed.set_exception(BenchmarkFailed("the server turned a device away"))

    def acknowledge(self, push: Push) -> None:
        """Confirm a push."""
        self._send(Ack(id=push.id))

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def _on_text(self, payload: bytes) -> None:
        frame = decode_server_frame(payload)
        if isinstance(frame, Push):
            if self._on_push is not None:
                self._on_push(self, frame)
        elif isinstance(frame, Challenge):
            token, nonce = self._registration.token, frame.nonce
            sig = sign_hello(self._registration.secret.encode(), APP_ID, WORKSPACE_ID, token, nonce)
            self._send(Hello(
                v=VERSION, app_id=APP_ID, workspace_id=WORKSPACE_ID, token=token, nonce=nonce, sig=sig,
                client="benchmark",
            ))  # fmt: skip
        elif isinstance(frame, Welcome):
            self.welcomed.set_result(None)

    def _send(self, frame: ClientFrame) -> None:
        self._transport.write(masked_frame(Opcode.TEXT, encode(frame), _MASK))


async def connect_devices(
    port: int,
    registrations: Sequence[Registration],
    *,
    tls: bool = False,
    on_push: Callable[[Device, Push], None] | None = None,
) -> list[Device]:
    """Connect devices, some at a time; all of them are welcomed at the end.

    Raises:
        BenchmarkFailed: the server turned one away, or it took too long.
    """
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(_AT_ONCE)
    context = _trusting() if tls else None

    async def connect(registration: Registration) -> Device:
        async with gate:
            _, device = await loop.create_connection(lambda: Device(registration, on_push), HOST, port, ssl=context)
            await device.welcomed
            return device

    try:
        async with asyncio.timeout(_DEADLINE):
            return await asyncio.gather(*map(connect, registrations))
    except TimeoutError:
        raise BenchmarkFailed(f"{len(registrations)} devices did not connect in {_DEADLINE:.0f} s") from None
    except OSError as error:
        raise BenchmarkFailed(f"a device cannot connect: {error}") from None


def _trusting() -> ssl.SSLContext:
    """A client context that takes the self-signed certificate of the benchmark's own server."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _main() -> None:
    parser = argparse.ArgumentParser(description="Devices of the fan-out benchmark.")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--ack", action="store_true")
    options = parser.parse_args()
    raise_file_limit()
    registrations = [Registration(str(number), SECRET) for number in range(options.count)]
    devices = await connect_devices(
        options.port, registrations, on_push=Device.acknowledge if options.ack else None
    )
    print("connected", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for device in devices:
        device.abort()


if __name__ == "__main__":
    uvloop.run(_main())
