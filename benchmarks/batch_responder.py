"""The peer of the pipeline benchmark for vendors that take lists of tokens: says yes to all, as each of them does.

`python -m benchmarks.batch_responder CHANNEL` says its port in the first line, and a report in JSON for every line
that it reads; it ends with its input. It finds the benchmark's tokens (`token-` and nine digits) in whatever comes
and counts them, and looks at nothing else; what vendors refuse, their simulators know (`clarion simulate`).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
import uvloop

HOST = "127.0.0.1"
Answer = Callable[[Sequence[bytes]], Any]
"""The JSON of an answer to a request for these tokens."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TOKEN = re.compile(rb"token-\d{9}")
_ACCESS = {"access_token": "access", "expires_in": 3600, "token_type": "Bearer"}
_HUAWEI = {"code": "80000000", "msg": "Success", "requestId": "request-1"}


def _always(answer: Any) -> Answer:
    return lambda _: answer


def _each(tokens: Sequence[bytes]) -> Any:
    data = [{"registrationId": token.decode(), "messageId": f"id-{token.decode()}"} for token in tokens]
    return {"code": 0, "message": "success", "data": data}


ANSWERS: Mapping[str, Mapping[bytes, Answer]] = {
    "hms": {b"/token": _always(_ACCESS), b"/v1/bench/messages:send": _always(_HUAWEI)},
    "harmony": {b"/v3/bench/messages:send": _always(_HUAWEI)},
    "honor": {
        b"/token": _always(_ACCESS),
        b"/api/v1/bench/sendMessage": _always(
            {"code": 200, "message": "success", "data": {"sendResult": True, "requestId": "request-1"}}
        ),
    },
    "miui": {
        b"/v3/message/regid": _always({"result": "ok", "code": 0, "description": "成功", "data": {"id": "id-1"}})
    },
    "oppo": {
        b"/server/v1/auth": _always({"code": 0, "message": "success", "data": {"auth_token": "access"}}),
        b"/server/v1/message/notification/unicast_batch": _each,
        b"/server/v1/message/notification/unicast": _always(
            {"code": 0, "message": "success", "data": {"messageId": "id-1"}}
        ),
    },
    "vivo": {
        b"/message/auth": _always({"result": 0, "desc": "success", "authToken": "access"}),
        b"/message/saveListPayload": _always({"result": 0, "desc": "success", "taskId": "task-1"}),
        b"/message/pushToList": _always({"result": 0, "desc": "success"}),
        b"/message/send": _always({"result": 0, "desc": "success", "taskId": "task-1"}),
    },
}
"""By channel and path; the app's id is `bench` everywhere."""


class Report(msgspec.Struct):
    """What it has done since the last report.

    Attributes:
        requests: that were answered.
        strange: of them, those for other paths, answered with 404.
        tokens: that they had.
        different: among those; `doubled` came more than once.
        cpu: seconds that this process took.
    """

    requests: int = 0
    strange: int = 0
    tokens: int = 0
    different: int = 0
    doubled: int = 0
    cpu: float = 0.0


class Responder:
    """What all connections share.

    Args:
        answers: by path.
    """

    def __init__(self, answers: Mapping[bytes, Answer]) -> None:
        self._answers = answers
        self._report = Report()
        self._tokens: Counter[bytes] = Counter()
        self._cpu = time.process_time()

    def answer(self, path: bytes, body: bytes) -> bytes:
        """The answer to a request."""
        self._report.requests += 1
        answer = self._answers.get(path)
        if answer is None:
            self._report.strange += 1
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        tokens = _TOKEN.findall(body)
        self._tokens.update(tokens)
        content = msgspec.json.encode(answer(tokens))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return head % len(content) + content

    def take_report(self) -> Report:
        """The report; the next one begins at zero."""
        taken, self._report = self._report, Report()
        tokens, self._tokens = self._tokens, Counter()
        now = time.process_time()
        taken.cpu, self._cpu = now - self._cpu, now
        taken.tokens, taken.different = tokens.total(), len(tokens)
        taken.doubled = sum(times > 1 for times in tokens.values())
        return taken


class _Connection(asyncio.Protocol):
    """Requests one after the other, each with `Content-Length`."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._buffer = bytearray()
        self._needed = 0  # bytes, before another look is worth it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end])
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                self._needed = whole - 1
                return
            body = bytes(self._buffer[end + 4 : whole])
            del self._buffer[:whole]
            self._needed = 0
            self._transport.write(self._responder.answer(head.split(b" ", 2)[1], body))


async def serve(channel: str) -> None:
    """Serve until the end of the input."""
    responder = Responder(ANSWERS[channel])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(responder), HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(msgspec.json.encode(responder.take_report()).decode(), flush=True)
    server.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("channel", choices=ANSWERS)
    uvloop.run(serve(parser.parse_args().channel))


if __name__ == "__main__":
    main()
