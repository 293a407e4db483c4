"""What a vendor's simulator is: a request in, the answer of the real gateway out; no sockets.

Everything that a real gateway would refuse is refused in its own envelope; a test that passes here should not fail
there for a reason that could have been known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Received:
    """A whole request.

    Attributes:
        method: HTTP verb, upper case.
        path: without the simulator's own prefix and without the query.
        query: the query string as sent.
        headers: by lower-case name.
        body: as sent.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP status.
        body: as the gateway would send it.
        headers: besides length and date.
        tokens: the devices that the request named, for the journal.
        outcome: what the simulator made of it, in a word or two, for the journal: `accepted`, or the vendor's code.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: Sequence[str] = ()
    outcome: str = "accepted"


def json_reply(status: int, value: Any, *, tokens: Sequence[str] = (), outcome: str = "accepted") -> Reply:
    """An answer with a JSON body."""
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    return Reply(status, msgspec.json.encode(value), headers, tokens, outcome)


class Simulator(Protocol):
    """A vendor's gateway.

    Attributes:
        label: name of the channel, which is also its path prefix.
    """

    label: str

    def handle(self, request: Received) -> Reply:
        """Answer a request, with the state that earlier ones left."""
        ...
