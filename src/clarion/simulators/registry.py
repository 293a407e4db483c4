"""Which simulators there are: the one table in which a vendor's is named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from clarion.simulators.base import Simulator, Surroundings


class Entry(NamedTuple):
    """A vendor's simulator.

    Attributes:
        module: has `create(surroundings) -> Simulator`.
        protocols: what its port of its own speaks over TLS, by the names of ALPN; empty for HTTP/1.1 without TLS
            under a path prefix of the common port.
        certificates: whether clients may show a TLS certificate.
    """

    module: str
    protocols: tuple[str, ...] = ()
    certificates: bool = False


SIMULATORS = {
    "apns": Entry("clarion.simulators.apns", ("h2",), certificates=True),
    "fcm": Entry("clarion.simulators.fcm", ("h2", "http/1.1")),
    "hms": Entry("clarion.simulators.hms"),
    "harmony": Entry("clarion.simulators.harmony"),
    "honor": Entry("clarion.simulators.honor"),
    "miui": Entry("clarion.simulators.miui"),
    "oppo": Entry("clarion.simulators.oppo"),
    "vivo": Entry("clarion.simulators.vivo"),
    "sms": Entry("clarion.simulators.sms"),
}
"""By the label of the channel."""


def available() -> list[str]:
    """Labels of the simulators whose module is there."""
    return [label for label, entry in SIMULATORS.items() if _is_there(entry.module)]


def create(label: str, surroundings: Surroundings) -> Simulator:
    """A new simulator.

    Raises:
        KeyError: there is none of this label.
    """
    factory: Callable[[Surroundings], Simulator] = import_module(SIMULATORS[label].module).create
    return factory(surroundings)


def _is_there(module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and spec.origin is not None  # a folder without modules is a package of no origin
