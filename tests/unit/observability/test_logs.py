from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from clarion.observability.logs import configure_logs
from clarion.settings import LogFormat


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """What other tests log stays as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("clarion").setLevel(logging.NOTSET)


@pytest.mark.parametrize("form", [LogFormat.TEXT, LogFormat.JSON])
def test_a_traceback_shows_no_values(form: LogFormat, capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", form)

    secret = "do-not-" + "show"
    values: dict[str, str] = {}
    try:
        values["absent"]
    except KeyError:
        structlog.get_logger().exception("failed")
        logging.getLogger("clarion.test").exception("failed")
    shown = capfd.readouterr().err
    assert shown.count("Traceback") == 2
    assert secret not in shown
