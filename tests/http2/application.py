"""What hypercorn serves: each request is written down before it is answered.

`/echo` answers with the body, `/length` with its length, `/status/N` with status N, `/never` not at all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

JOURNAL = "CLARION_TEST_JOURNAL"
"""Environment variable: the file in which paths of requests are noted."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The application (ASGI)."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body, more = body + message["body"], message["more_body"]
    path: str = scope["path"]
    _note(path)
    kind, _, rest = path[1:].partition("/")
    if kind == "never":
        await asyncio.Event().wait()
    answers = {"echo": body, "length": b"%d" % len(body)}
    status = int(rest.partition("/")[0]) if kind == "status" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-kind", kind.encode())]})
    await send({"type": "http.response.body", "body": answers.get(kind, b"")})


def _note(path: str) -> None:
    with Path(os.environ[JOURNAL]).open("a", encoding="ascii") as journal:
        journal.write(f"{path}\n")
