"""The commands, and what a failure looks like."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from clarion import __version__
from clarion.cli import (
    callbacks,
    channels,
    check,
    device,
    push,
    revoke,
    schedules,
    serve,
    simulate,
    templates,
    tenants,
    trace,
)
from clarion.cli.context import Fault, err
from clarion.failures import ConfigurationError, StoreUnavailable
from clarion.results import Refusal
from clarion.tenants.calendar import UnknownTimeZone
from clarion.tenants.service import NameTaken, NotThere

app = typer.Typer(
    name="clarion",
    help="Clarion: a self-hosted mobile push service that speaks the mPaaS Message Push Service API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"clarion {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("trace")(trace.trace)
app.command("simulate")(simulate.simulate)
app.add_typer(tenants.apps, name="app")
app.add_typer(tenants.keys, name="key")
app.add_typer(channels.commands, name="channel")
app.add_typer(device.commands, name="device")
app.add_typer(push.commands, name="push")
app.add_typer(revoke.commands, name="revoke")
app.add_typer(templates.commands, name="template")
app.add_typer(schedules.commands, name="schedule")
app.add_typer(callbacks.commands, name="callback")


def run() -> None:
    """Run the command line; never shows a traceback for a mistake of the operator."""
    try:
        app(prog_name="clarion")
    except (Fault, ConfigurationError, NameTaken, NotThere, UnknownTimeZone) as error:
        _explain(str(error.args[0]) if error.args else str(error))
    except Refusal as refusal:
        _explain(f"{refusal.result.code} {refusal.message}")
    except StoreUnavailable as error:
        _explain(f"the database is not available: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _explain(text: str) -> None:
    err.print("error: ", style="bold red", end="")
    err.print(text, markup=False)
    sys.exit(1)
