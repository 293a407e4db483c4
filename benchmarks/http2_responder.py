"""The peer of the HTTP/2 benchmark: takes requests as fast as it can and answers each with a bare 200.

`python -m benchmarks.http2_responder CERTIFICATE KEY [options]` says its port in the first line, and a report in
JSON for every line that it reads; it ends with its input. It looks at the heads of frames only, unless `--count`
asks for each notification by its `apns-id`: then it decodes all headers, which takes most of its time, and answers
with that id, as Apple does. It is there to be fast and to misbehave on purpose; that the sender is right is shown
with peers that others wrote (tests/http2).
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
import time
from collections import Counter
from struct import Struct
from typing import Final, cast

import msgspec
import uvloop
from hpack import Decoder

from clarion.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEAD,
    PADDED,
    PREFACE,
    PRIORITY,
    ErrorCode,
    FrameType,
    Setting,
    frame,
    goaway_frame,
    reset_frame,
    settings_frame,
    unpack_head,
    window_frame,
)
from clarion.http2.headers import literal

HOST = "127.0.0.1"
_WINDOW: Final = 1 << 30
_HEADERS, _SETTINGS, _PING = int(FrameType.HEADERS), int(FrameType.SETTINGS), int(FrameType.PING)
_REQUEST: Final = frozenset({int(FrameType.DATA), _HEADERS})
pack_200 = Struct(">IBIB").pack
"""A HEADERS frame that is a whole answer: `pack_200(0x101, 5, stream, 0x88)`."""


class Options(msgspec.Struct, frozen=True):
    """How it behaves.

    Attributes:
        streams: `MAX_CONCURRENT_STREAMS`.
        delay_ms: from a request to its answer.
        goaway_every: requests of a connection after which it says goodbye; 0 for never.
        refuse: of so many requests one is refused with REFUSED_STREAM; 0 for none.
        count: whether notifications are counted by their ids, and answered with them.
    """

    streams: int = 1000
    delay_ms: int = 0
    goaway_every: int = 0
    refuse: int = 0
    count: bool = False


class Report(msgspec.Struct):
    """What it has done since the last report.

    Attributes:
        requests: that came, whatever became of them.
        accepted: that were answered.
        different: ids among those; `doubled` came more than once.
        refused: with REFUSED_STREAM.
        goodbyes: GOAWAY frames.
        cpu: seconds that this process took.
    """

    requests: int = 0
    accepted: int = 0
    different: int = 0
    doubled: int = 0
    refused: int = 0
    goodbyes: int = 0
    cpu: float = 0.0


class Responder:
    """What all connections share."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.report = Report()
        self.ids: Counter[bytes] = Counter()
        self._cpu = time.process_time()

    def take_report(self) -> Report:
        """The report; the next one begins at zero."""
        taken, self.report = self.report, Report()
        ids, self.ids = self.ids, Counter()
        now = time.process_time()
        taken.cpu, self._cpu = now - self._cpu, now
        taken.different, taken.doubled = len(ids), sum(times > 1 for times in ids.values())
        return taken


class _Connection(asyncio.Protocol):
    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._options = responder.options
        self._greeting = len(PREFACE)  # bytes of it that are still to come
        self._rest = b""
        self._window = 0
        self._requests = 0
        self._decoder = Decoder()
        self._ids: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        settings = {Setting.MAX_CONCURRENT_STREAMS: self._options.streams, Setting.INITIAL_WINDOW_SIZE: _WINDOW}
        self._transport.write(settings_frame(settings) + window_frame(0, _WINDOW))

    def data_received(self, data: bytes) -> None:
        self._window += len(data)  # somewhat more than the bodies
        buffer = self._rest + data if self._rest else data
        position, end = self._greeting, len(buffer)
        counts, requests = self._options.count, list[int]()
        while end - position >= HEAD:
            head, flags, stream = unpack_head(buffer, position)
            following = position + HEAD + (head >> 8)
            if following > end:
                break
            kind = head & 0xFF
            if kind not in _REQUEST:
                self._control(kind, flags, buffer[position + HEAD : following])
            else:
                if counts and kind == _HEADERS:
                    self._note(flags, stream, buffer[position + HEAD : following])
                if flags & END_STREAM:
                    requests.append(stream)
            position = following
        if position <= end:
            self._greeting = 0
            self._rest = buffer[position:]
        else:
            self._rest = buffer
        if requests:
            self._take(requests)

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & ACK:
            self._transport.write(frame(FrameType.SETTINGS, ACK, 0))
        elif kind == _PING and not flags & ACK:
            self._transport.write(frame(FrameType.PING, ACK, 0, payload))

    def _note(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & (PRIORITY | PADDED) or not flags & END_HEADERS:
            raise NotImplementedError("headers of another form than the sender's")
        self._ids[stream] = b""
        for name, value in self._decoder.decode(payload, raw=True):
            if name == b"apns-id":
                self._ids[stream] = bytes(value)

    def _take(self, requests: list[int]) -> None:
        """Requests that are whole: answer them, now or later, or not."""
        options, report = self._options, self._responder.report
        out: list[bytes] = []
        before, self._requests = self._requests, self._requests + len(requests)
        if options.goaway_every and self._requests >= options.goaway_every:
            requests = requests[: max(0, options.goaway_every - before)]
            if before < options.goaway_every:
                report.goodbyes += 1
                out.append(goaway_frame(requests[-1], ErrorCode.NO_ERROR))
        if options.refuse:
            kept = []
            for number, stream in enumerate(requests, report.requests + 1):
                if number % options.refuse:
                    kept.append(stream)
                else:
                    report.refused += 1
                    out.append(reset_frame(stream, ErrorCode.REFUSED_STREAM))
            report.requests += len(requests) - len(kept)
            requests = kept
        report.requests += len(requests)
        report.accepted += len(requests)
        if options.count:
            self._responder.ids.update([self._ids[stream] for stream in requests])
        if self._window > _WINDOW // 2:
            out.append(window_frame(0, self._window))
            self._window = 0
        if options.delay_ms:
            asyncio.get_running_loop().call_later(options.delay_ms / 1000, self._answer, requests, out)
        else:
            self._answer(requests, out)

    def _answer(self, requests: list[int], out: list[bytes]) -> None:
        if self._transport.is_closing():
            return
        if self._options.count:
            blocks = ((stream, b"\x88" + literal(b"apns-id", self._ids.pop(stream))) for stream in requests)
            out += [frame(FrameType.HEADERS, END_STREAM | END_HEADERS, stream, block) for stream, block in blocks]
        else:
            out += [pack_200(0x101, 5, stream, 0x88) for stream in requests]
        self._transport.write(b"".join(out))


async def serve(certificate: str, key: str, options: Options) -> None:
    """Serve until the end of the input."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    responder = Responder(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(responder), HOST, 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(msgspec.json.encode(responder.take_report()).decode(), flush=True)
    server.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("--streams", type=int, default=1000, help="most streams of a connection")
    parser.add_argument("--delay-ms", type=int, default=0, help="from a request to its answer")
    parser.add_argument("--goaway-every", type=int, default=0, metavar="N", help="requests of a connection")
    parser.add_argument("--refuse", type=int, default=0, metavar="N", help="one in N with REFUSED_STREAM")
    parser.add_argument("--count", action="store_true", help="count notifications by apns-id")
    given = vars(parser.parse_args())
    files = given.pop("certificate"), given.pop("key")
    uvloop.run(serve(*files, Options(**given)))


if __name__ == "__main__":
    main()
