"""Structured logs on standard error: one JSON object a line, or readable text on a terminal.

Nothing logged at info or above holds a secret or the text of a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from clarion.failures import ConfigurationError
from clarion.settings import LogFormat

_GATHER_SECONDS = 0.05

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logs(level: str, form: LogFormat) -> LineWriter:
    """Set up structlog, and the standard library's logging for what others log.

    Returns:
        What writes the lines of requests.

    Raises:
        ConfigurationError: `level` is none.
    """
    if level.lower() not in _LEVELS:
        raise ConfigurationError(f"log_level must be one of {', '.join(_LEVELS)}, not {level!r}")
    threshold = _LEVELS[level.lower()]
    as_text = form is LogFormat.TEXT or (form is LogFormat.AUTO and sys.stderr.isatty())
    # The plain form of tracebacks: the one that structlog prefers shows local variables, and so secrets.
    as_lines = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    renderer: Any = as_lines if as_text else _render_json
    processors: list[Any] = [structlog.contextvars.merge_contextvars] if as_text else []
    processors += [_add_time, structlog.processors.add_log_level]
    if as_text:
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        processors.append(structlog.processors.format_exc_info)
        factory = _StderrLines
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[_Forward()], force=True)
    logging.getLogger("clarion").setLevel(threshold)
    return LineWriter(threshold, as_text=as_text)


class _StderrLines:
    """Writes lines to standard error. One that cannot be written (a full disk, a closed pipe) is given up."""

    def __init__(self, *_: Any) -> None:
        self._file = sys.stderr.fileno()

    def msg(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._file, line + b"\n")  # past Python's buffer, which would keep what failed

    debug = info = warning = error = critical = msg


class LineWriter:
    """Writes the info line of each request, at a tenth of what structlog takes for it.

    In JSON, lines are gathered for up to `_GATHER_SECONDS` and written together; `flush` writes what is there.

    Args:
        threshold: level of the log; above info nothing is written.
        as_text: hand the lines to structlog, for a person to read.
    """

    def __init__(self, threshold: int, *, as_text: bool) -> None:
        self._enabled = threshold <= logging.INFO
        self._as_text = as_text
        self._lines: list[bytes] = []
        self._second = -1
        self._clock_text = ""

    def __call__(self, line: msgspec.Struct) -> None:
        """Log `line` as the event `request`."""
        if not self._enabled:
            return
        if self._as_text:
            structlog.get_logger().info("request", **msgspec.structs.asdict(line))
            return
        self._lines.append(self._prefix() + _encode(line)[1:])
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write the gathered lines."""
        if self._lines:
            self._lines.append(b"")
            text, self._lines = b"\n".join(self._lines), []
            with contextlib.suppress(OSError):
                os.write(sys.stderr.fileno(), text)

    def _prefix(self) -> bytes:
        second, millis = divmod(time.time_ns() // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._clock_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f'{{"event":"request","level":"info","at":"{self._clock_text}.{millis:03d}Z",'.encode()


class _Forward(logging.Handler):
    """Hands what libraries log to structlog, for one form of log."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        logger.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


_encode = msgspec.json.Encoder(enc_hook=repr).encode


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event)


def _add_time(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    seconds, millis = divmod(time.time_ns() // 1_000_000, 1000)
    event["at"] = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{millis:03d}Z"
    return event
