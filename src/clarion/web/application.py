"""Which path answers what on the API port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from clarion import __version__
from clarion.failures import StoreUnavailable
from clarion.observability.metrics import Metrics
from clarion.web.answers import answer, answer_json, refuse
from clarion.web.server import AsgiApp, Receive, Scope, Send

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""Looks at one part; None when it is well, else what is wrong."""

_CHECK_SECONDS = 2.0


class Application:
    """The ASGI application of the API port.

    Args:
        rpc: answers `/`.
        device_calls: answers `/device/…`.
        receipts: answers `/receipts/…`.
        metrics: shown at `/metrics`; None hides them.
        checks: parts that `/readyz` looks at, by name.
    """

    def __init__(
        self,
        rpc: AsgiApp,
        device_calls: AsgiApp,
        receipts: AsgiApp,
        metrics: Metrics | None,
        checks: Mapping[str, Check],
    ) -> None:
        self._rpc = rpc
        self._below = {"device": device_calls, "receipts": receipts}
        self._metrics = metrics
        self._checks = checks
        self._paths: dict[str, AsgiApp] = {
            "/": rpc,
            "": rpc,
            "/healthz": self._health,
            "/readyz": self._ready,
        }
        if metrics is not None:
            self._paths["/metrics"] = self._show_metrics
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        app = self._paths.get(path)
        if app is self._rpc:
            await app(scope, receive, send)
            return
        if app is None:
            app = self._below.get(path[1:].partition("/")[0], self._not_found)
        try:
            await app(scope, receive, send)
        except StoreUnavailable:
            await refuse(send, 503, "ServiceUnavailable", "the database is not available; try again later")
        except ConnectionError:
            return
        except Exception:
            # Of most paths the first part says enough, and others are secrets.
            log.exception("request_failed", path="/" + path[1:].partition("/")[0])
            await refuse(send, 500, "InternalError", "an unexpected error; the server's log has it")

    async def _health(self, _: Scope, __: Receive, send: Send) -> None:
        await answer_json(send, 200, {"status": "ok", "version": __version__})

    async def _ready(self, _: Scope, __: Receive, send: Send) -> None:
        names = list(self._checks)
        results = await asyncio.gather(*(self._look(self._checks[name]) for name in names))
        faults = {name: fault for name, fault in zip(names, results, strict=True) if fault}
        if self.draining:
            faults["server"] = "is stopping"
        status = 503 if faults else 200
        await answer_json(send, status, {"status": "unavailable" if faults else "ok", "faults": faults})

    async def _look(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await check()
        except TimeoutError:
            return f"did not answer within {_CHECK_SECONDS:g} s"

    async def _show_metrics(self, _: Scope, __: Receive, send: Send) -> None:
        if self._metrics is not None:
            await answer(send, 200, self._metrics.render(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _not_found(self, scope: Scope, _: Receive, send: Send) -> None:
        hint = (
            "the API is at / (signed requests); devices connect to /link on the link port"
            if not scope["path"].startswith("/link")
            else "the device link has a port of its own; GET /device/link tells its address"
        )
        await refuse(send, 404, "NotFound", f"nothing is at this path: {hint}")
