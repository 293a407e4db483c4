"""What a vendor's simulator is: a request in, the answer of the real gateway out; no sockets.

Everything that a real gateway would refuse is refused in its own envelope; a test that passes here should not fail
there for a reason that could have been known.

A simulator is a class with a `label` and `handle`; its module has `create(surroundings)`, and the table of
`clarion.simulators.registry` names the module. What else the host can do for it, it asks for by having the methods
of `Accredited`, `Configurable` or `LimitsStreams`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import msgspec

from clarion.clock import Clock
from clarion.simulators.faults import FaultBook


class Peer:
    """The connection that requests come on, as far as a gateway cares.

    Attributes:
        http2: whether it speaks HTTP/2.
        certificate: the client's TLS certificate (DER), which the simulators' own authority signed; or None.
        memory: what a simulator wants to remember of the connection.
    """

    __slots__ = ("certificate", "http2", "memory")

    def __init__(self, *, http2: bool = False, certificate: bytes | None = None) -> None:
        self.http2 = http2
        self.certificate = certificate
        self.memory: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Received:
    """A whole request.

    Attributes:
        method: HTTP verb, upper case.
        path: without the simulator's own prefix and without the query.
        query: the query string as sent.
        headers: by lower-case name; the last of several of a name.
        body: as sent.
        repeated: names of headers that came more than once.
        peer: the connection that it came on.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    repeated: frozenset[str] = frozenset()
    peer: Peer = field(default_factory=Peer)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A callback that the gateway makes after a request.

    The host sends it after the answer; or before it, or twice, as faults say.

    Attributes:
        url: where to, `http` or `https`.
        body: as the gateway would send it.
        headers: besides length and host.
        after: seconds after the answer.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP status.
        body: as the gateway would send it.
        headers: besides length and date.
        tokens: the devices that the request named, for the journal.
        outcome: what the simulator made of it, in a word or two, for the journal: `accepted`, or the vendor's code.
        detail: for people, why; the journal shows it, the client does not see it.
        secret: whether the request's body holds credentials, which the journal then leaves out.
        receipts: callbacks that follow.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: Sequence[str] = ()
    outcome: str = "accepted"
    detail: str = ""
    secret: bool = False
    receipts: Sequence[Receipt] = ()


def json_reply(
    status: int,
    value: Any,
    *,
    tokens: Sequence[str] = (),
    outcome: str = "accepted",
    detail: str = "",
    secret: bool = False,
    receipts: Sequence[Receipt] = (),
) -> Reply:
    """An answer with a JSON body."""
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    return Reply(status, msgspec.json.encode(value), headers, tokens, outcome, detail, secret, receipts)


class Simulator(Protocol):
    """A vendor's gateway.

    Attributes:
        label: name of the channel, which is also its path prefix.
    """

    label: str

    def handle(self, request: Received) -> Reply:
        """Answer a request, with the state that earlier ones left."""
        ...


@runtime_checkable
class Accredited(Protocol):
    """A simulator that can say which credentials it takes."""

    def credentials(self, base_url: str) -> dict[str, Any]:
        """What a channel file has that this simulator, reached at `base_url`, accepts; the host adds `caFile`.

        `baseUrl` is among it, and `tokenUrl` where the vendor has such an address.
        """
        ...


@runtime_checkable
class Configurable(Protocol):
    """A simulator that can be set while it runs: `POST /settings/<label>`."""

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings; those that are not named stay.

        Raises:
            ValueError: there is no such setting, or not with such a value; nothing was changed.
        """
        ...


@runtime_checkable
class LimitsStreams(Protocol):
    """A simulator that says how many requests of a connection (HTTP/2) may be under way at once."""

    def streams(self, peer: Peer) -> int:
        """The limit of a connection now; asked after each request and each change of settings."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a simulator is made with.

    Attributes:
        clock: time.
        faults: for the kinds that simulators carry out themselves: `code` and `expired_auth`.
        known: the channel file of an earlier run, whose credentials stay good; empty for new ones.
        strict: whether a sender's keys and accounts have to be known; else unknown ones are let pass if what they
            send is well-formed, as nobody can have told the simulator of them. Known ones are always verified.
    """

    clock: Clock
    faults: FaultBook
    known: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
