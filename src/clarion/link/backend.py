"""What the device link needs from the rest of the system."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta


class EventKind(Enum):
    """What the user did with a notification."""

    OPEN = "open"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """A registered device.

    Attributes:
        device: internal number of the device.
        app: internal number of its app.
        secret: the device secret, its text as UTF-8 bytes.
        user_id: the bound user, if any.
    """

    device: int
    app: int
    secret: bytes = field(repr=False)
    user_id: str | None


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A frame that waits for a device: a push, or the revocation of one.

    Attributes:
        message: id of the entry, the `id` in its frame; a revocation has an id of its own.
        frame: the JSON text of the frame.
    """

    message: int
    frame: bytes


class VendorReport(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The token that a vendor's SDK gave to the app on a device.

    Attributes:
        channel: name of the vendor channel, such as `hms`.
        vendor_token: the vendor's token, at most 1,024 characters.
        model: model of the device.
        app_version: version of the app.
        os_version: version of the operating system.
    """

    channel: Annotated[str, Meta(min_length=1, max_length=16)]
    vendor_token: Annotated[str, Meta(min_length=1, max_length=1024)]
    model: Annotated[str, Meta(max_length=128)] | None = None
    app_version: Annotated[str, Meta(max_length=64)] | None = None
    os_version: Annotated[str, Meta(max_length=64)] | None = None


class LinkBackend(Protocol):
    """The devices and their waiting messages.

    Any exception other than the ones named closes the connection with 1011; the device finds its messages again
    when it comes back.
    """

    async def identify(self, app_id: str, workspace_id: str, token: str) -> DeviceIdentity | None:
        """The device with this delivery token, or None.

        Raises:
            clarion.results.Refusal: the app takes no connections now; the link closes with 4006.
        """
        ...

    async def inbox(self, device: int, after: int, limit: int) -> Sequence[InboxEntry]:
        """The first `limit` entries above `after` that are neither expired nor acknowledged, in order of id."""
        ...

    def acked(self, device: int, messages: Sequence[int]) -> Awaitable[None]:
        """Record that the device has these messages; durable when the awaitable is done.

        Called for messages that were sent on this connection only. A future saves the cost of a task.
        """
        ...

    async def event(self, device: int, message: int, kind: EventKind) -> None:
        """Record what the user did; `message` is the client's claim and may be unknown."""
        ...

    async def bind(self, device: int, user_id: str, phone: str | None) -> None:
        """Bind the device to a user.

        Raises:
            clarion.results.Refusal: the binding is turned down.
        """
        ...

    async def unbind(self, device: int, user_id: str) -> None:
        """Undo the binding to this user.

        Raises:
            clarion.results.Refusal: the request is turned down.
        """
        ...

    async def report(self, device: int, report: VendorReport) -> None:
        """Record the device's vendor token.

        Raises:
            clarion.results.Refusal: the report is turned down.
        """
        ...

    def sent(self, device: int, messages: Sequence[int]) -> None:
        """Note for the trace that these messages were handed to the socket; must not block nor raise."""
        ...
