"""What a vendor channel is: an immutable message in, a value for each target out.

A channel raises nothing: whatever a vendor says becomes one of the values here, by the one table of codes that the
vendor's folder has. `code` and `text` are the vendor's own, verbatim; the trace shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from clarion.channels.message import PushContent


@dataclass(frozen=True, slots=True)
class Accepted:
    """The vendor took the message; `vendor_id` is its name there, with which it can be recalled."""

    vendor_id: str


@dataclass(frozen=True, slots=True)
class InvalidToken:
    """The token is nobody's any more; `since` (ms) if the vendor tells: one that was reported later is good."""

    since: int | None = None
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """It was surely not carried out, and may be tried again in `after` seconds, or whenever the sender likes."""

    after: float | None = None
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The vendor takes nothing from this app until then (ms); nothing is wrong with the message."""

    until: int
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class PayloadError:
    """The vendor will never take this message: too long, a category that it does not know."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ConfigError:
    """Wrong credentials or settings: no message of this app will be taken until the operator changes them."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The vendor may have it or not, as when the connection was lost after the request; never sent again as new."""

    code: str = ""
    text: str = ""


SendOutcome = Accepted | InvalidToken | Retry | RateLimited | PayloadError | ConfigError | Unknown


@dataclass(frozen=True, slots=True)
class VendorTarget:
    """A device as a vendor knows it.

    Attributes:
        token: the vendor's token of the device.
        message: internal id of its message; the same again when it is sent again.
        expires_at: end of validity, ms.
    """

    token: str
    message: int
    expires_at: int


class Sender(Protocol):
    """Sends through a vendor."""

    async def send(self, app: int, content: PushContent, targets: Sequence[VendorTarget]) -> Sequence[SendOutcome]:
        """Send one message to many devices of an app; an outcome for each, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class VendorCopy:
    """A message that a vendor took for a device.

    Attributes:
        message: internal id of the message.
        device: internal number of the device.
        token: the vendor's token of the device.
        vendor_id: as `Accepted` told it.
        msg_key: the caller's message key.
    """

    message: int
    device: int
    token: str
    vendor_id: str
    msg_key: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """The vendor took the message back, or will as soon as it reaches the device."""


@dataclass(frozen=True, slots=True)
class NotRecallable:
    """The message stays: the vendor cannot recall, or will not recall this one."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class RecallUnknown:
    """The vendor did not say whether it took the message back; another revocation asks again."""

    code: str = ""
    text: str = ""


RecallOutcome = Recalled | NotRecallable | RecallUnknown


class Recaller(Protocol):
    """Takes messages back through a vendor."""

    async def recall(self, app: int, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Take back what the vendor took for devices of an app; an outcome for each, in their order."""
        ...
