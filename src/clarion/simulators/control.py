"""The host's own calls: journal, faults, settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

from clarion.simulators.base import Simulator
from clarion.simulators.faults import Fault, FaultBook
from clarion.simulators.http1 import read_body
from clarion.simulators.journal import Journal

MAX_CALL = 1 << 20
_CHUNK = 500


class Host(Protocol):
    """What the calls work on."""

    @property
    def journal(self) -> Journal:
        """What arrived."""
        ...

    @property
    def faults(self) -> FaultBook:
        """What goes wrong."""
        ...

    @property
    def simulators(self) -> Mapping[str, Simulator]:
        """By label."""
        ...

    @property
    def urls(self) -> Mapping[str, str]:
        """Base URLs by label."""
        ...

    def configure(self, label: str, settings: Mapping[str, Any]) -> None:
        """Set a simulator; raises as `Configurable.configure` does."""
        ...


class Control:
    """Answers the calls; wrong ones with 400 and a text that says what is wrong."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each call."""
        return [
            web.get("/", self.show_urls),
            web.get("/journal", self.show_journal),
            web.delete("/journal", self.clear_journal),
            web.get("/faults", self.show_faults),
            web.post("/faults", self.set_faults),
            web.delete("/faults", self.clear_faults),
            web.post("/settings/{label}", self.configure),
        ]

    async def show_urls(self, _: web.Request) -> web.Response:
        """A map of channel to base URL."""
        return _json(dict(self._host.urls))

    async def show_journal(self, request: web.Request) -> web.StreamResponse:
        """The entries, oldest first; `channel`, `since` (ms) and `limit` choose among them."""
        texts = self._host.journal.texts(
            self._channel(request), _number(request, "since") or 0, _number(request, "limit")
        )
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        chunk: list[bytes] = []
        separator = b"["
        for text in texts:
            chunk += (separator, text)
            separator = b",\n"
            if len(chunk) >= _CHUNK:
                await answer.write(b"".join(chunk))
                chunk.clear()
        await answer.write(b"".join(chunk) + (b"[]" if separator == b"[" else b"]"))
        await answer.write_eof()
        return answer

    async def clear_journal(self, request: web.Request) -> web.Response:
        """Forget the entries, or those of `channel`."""
        self._host.journal.clear(self._channel(request))
        return web.Response(status=204)

    async def show_faults(self, _: web.Request) -> web.Response:
        """The faults that are set."""
        return _json(self._host.faults.listed())

    async def set_faults(self, request: web.Request) -> web.Response:
        """Add a fault or a list of them; the faults that are set then."""
        faults = await _decoded(request, Fault | list[Fault])
        added = faults if isinstance(faults, list) else [faults]
        for fault in added:
            self._check_label(fault.channel)
        try:
            self._host.faults.set(added)
        except ValueError as error:
            raise _bad(str(error)) from error
        return _json(self._host.faults.listed())

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Take back all faults, or those of `channel`."""
        self._host.faults.clear(self._channel(request))
        return web.Response(status=204)

    async def configure(self, request: web.Request) -> web.Response:
        """Set a simulator; its settings are the members of a JSON object."""
        label = request.match_info["label"]
        self._check_label(label)
        settings = await _decoded(request, dict[str, Any])
        try:
            self._host.configure(label, settings)
        except ValueError as error:
            raise _bad(str(error)) from error
        return web.Response(status=204)

    def _channel(self, request: web.Request) -> str | None:
        label = request.query.get("channel")
        if label:
            self._check_label(label)
        return label or None

    def _check_label(self, label: str) -> None:
        if label not in self._host.simulators:
            raise _bad(f"there is no simulator {label!r}; there are {', '.join(self._host.simulators)}")


async def _decoded(request: web.Request, kind: Any) -> Any:
    try:
        return msgspec.json.decode(await read_body(request, MAX_CALL), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(str(error)) from error


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise _bad(f"{name} is no whole number")
    return int(text[:18])


def _bad(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=msgspec.json.encode({"error": text}).decode(), content_type="application/json")


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
