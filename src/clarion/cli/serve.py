"""`clarion serve`."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
from typing import Annotated

import structlog
import typer
import uvloop

from clarion.cli.context import Config, DataDir, Json, fail, out, print_json, settings_of
from clarion.foundation import open_foundation
from clarion.observability.logs import LineWriter, configure_logs
from clarion.settings import PartOfServer, Settings

log = structlog.get_logger(__name__)


def serve(
    data_dir: DataDir = None,
    config: Config = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address to listen on (default 127.0.0.1).", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", help="Port of the API (default 8080; 0: a free one).", show_default=False),
    ] = None,
    link_port: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Port of the device link (default 8081; 0: a free one).", show_default=False
        ),
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="What this process does: api,worker,scheduler,link,console.", show_default=False
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="postgresql://… (default: SQLite in the data directory).", show_default=False
        ),
    ] = None,
    nats: Annotated[
        str | None, typer.Option(metavar="URL", help="Bus for several nodes.", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="debug, info, warning or error (default info).", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Run the server until SIGTERM or Ctrl-C. It then finishes the work in hand."""
    settings = settings_of(
        data_dir,
        config,
        host=host,
        port=port,
        link_port=link_port,
        roles=[role.strip() for role in roles.split(",")] if roles else None,
        database_url=database,
        nats_url=nats,
        log_level=log_level,
    )
    if settings.nats_url:
        fail("several nodes over NATS are not available in this version; leave nats_url empty")
    if not {PartOfServer.API, PartOfServer.LINK}.intersection(settings.roles):
        fail("roles must include api or link: the other roles have nothing to do by themselves in this version")
    request_log = configure_logs(settings.log_level, settings.log_format)
    _raise_file_limit()
    uvloop.run(_serve(settings, request_log, as_json=json))


async def _serve(settings: Settings, request_log: LineWriter, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    from clarion.app import Server  # half of all that other commands need not load

    server = Server(await open_foundation(settings), request_log)
    try:
        await server.start()
        _spare_the_collector()
        _announce(server.addresses, settings, as_json=as_json)
        await stop.wait()
        log.info("stopping", drain_seconds=settings.drain_seconds)
    finally:
        await server.stop()
        request_log.flush()
    log.info("stopped")


def _announce(addresses: dict[str, str], settings: Settings, *, as_json: bool) -> None:
    if as_json:
        print_json({"event": "ready", **addresses})
        return
    store = "PostgreSQL" if settings.database_url else settings.data_dir
    shown = "  ".join(f"{name} {address}" for name, address in addresses.items())
    out.print(f"Clarion is ready:  {shown}  (data: {store})", markup=False)
    out.file.flush()


def _spare_the_collector() -> None:
    # What was made so far stays; and the objects of a request hold no cycles, so looking for some can wait.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _raise_file_limit() -> None:
    # Each device is a file descriptor; the soft limit is often 1024 where the hard one is far higher.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
