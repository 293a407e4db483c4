"""`clarion simulate`."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
import uvloop

from clarion.cli.context import Json, fail, out, print_json, print_table
from clarion.simulators.registry import SIMULATORS

if TYPE_CHECKING:
    from clarion.simulators.hall import Hall

Settings = dict[str, dict[str, Any]]


def simulate(
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_000,
            metavar="N",
            help="Control port, also of the HTTP/1.1 vendors; APNs and FCM take the next ones. 0: free ones.",
        ),
    ] = 9400,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    channels: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Only these vendors (default: all).", show_default=False),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a channel file for each vendor there. Keys that are there already are used again.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse keys and accounts that the simulators do not know.")
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON: settings of the simulators by channel.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--apns-key", metavar="FILE.p8", help="An APNs key to know.", show_default=False),
    ] = None,
    key_id: Annotated[
        str, typer.Option("--apns-key-id", metavar="ID", help="Its key id.", show_default=False)
    ] = "",
    team_id: Annotated[
        str, typer.Option("--apns-team-id", metavar="ID", help="Its team id.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Simulate the vendors' gateways until SIGTERM or Ctrl-C."""
    labels = None if channels is None else [label.strip() for label in channels.split(",")]
    unknown = [label for label in labels or () if label not in SIMULATORS]
    if unknown:
        fail(f"there is no simulator {unknown[0]!r}; there are {', '.join(SIMULATORS)}")
    wanted = _settings(settings)
    if key is not None:
        known = {"keyId": key_id, "teamId": team_id, "key": _read(key).decode("utf-8", "replace")}
        ours = wanted.setdefault("apns", {})
        ours["keys"] = [*ours.get("keys", []), known]
    from clarion.simulators.hall import Hall

    try:
        hall = Hall(host=host, port=port, labels=labels, folder=credentials, strict=strict)
    except (OSError, ValueError, TypeError) as error:
        fail(f"{credentials or 'credentials'}: {error}")
    uvloop.run(_simulate(hall, wanted, as_json=json))


async def _simulate(hall: Hall, settings: Settings, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        for label, values in settings.items():
            if label not in hall.simulators:
                fail(f"there is no simulator {label!r}; there are {', '.join(hall.simulators)}")
            hall.configure(label, values)
        await hall.start()
        _announce(hall.urls, hall.control, hall.ca_file, as_json=as_json)
        await stop.wait()
    except ValueError as error:
        fail(f"settings: {error}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fail(
                f"cannot listen: a port is in use, {hall.control} or one of the next two: choose others with --port"
            )
        fail(f"cannot listen: {error}")
    finally:
        await hall.stop()


def _announce(urls: Mapping[str, str], control: str, ca_file: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({**urls, "control": control, "caFile": str(ca_file.resolve())})
        return
    print_table(("channel", "base URL"), [*urls.items(), ("control", control)], "")
    out.print(f"certificate authority of the https ones: {ca_file.resolve()}", markup=False)
    out.file.flush()


def _settings(file: Path | None) -> Settings:
    if file is None:
        return {}
    try:
        return msgspec.json.decode(_read(file), type=Settings)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fail(f"{file} has to be a JSON object of settings by channel: {error}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror}")
