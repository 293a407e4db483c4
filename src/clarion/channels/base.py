"""What a vendor channel is: an immutable message in, a value for each target out.

A channel raises nothing: whatever a vendor says becomes one of the values here, by the one table of codes that the
vendor's folder has. `code` and `text` are the vendor's own, verbatim; the trace shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import msgspec

from clarion.channels.message import PushContent


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The vendor took the message.

    Attributes:
        vendor_id: its name there, with which it can be recalled and receipts are matched; may be empty.
        notes: what of the message this vendor has no place for, or what was cut, for the trace.
    """

    vendor_id: str
    notes: tuple[str, ...] = ()


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
    """The vendor takes nothing until then (ms); nothing is wrong with the message.

    `whole`: whether that is so for all messages of the app, or for this target alone.
    """

    until: int
    code: str = ""
    text: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class PayloadError:
    """The vendor will never take this message: too long, a category that it does not know."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Superseded:
    """It was not sent, because a newer message has what it said; of live activities."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ConfigError:
    """Wrong credentials or settings: it will not be taken until the operator changes them.

    `whole`: whether that is so for all messages of the app, or for those of this kind.
    """

    code: str = ""
    text: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """The vendor may have it or not, as when the connection was lost after the request; never sent again as new."""

    code: str = ""
    text: str = ""


SendOutcome = Accepted | InvalidToken | Retry | RateLimited | PayloadError | Superseded | ConfigError | Unknown


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One message for one device, on its way to a vendor.

    Attributes:
        message: internal id of the message; the same again when it is sent again. Of a broadcast, that of its task.
        device: internal number of the device.
        token: the vendor's token of the device.
        msg_key: the caller's message key.
        task: id of the task.
        expires_at: end of validity, ms.
        content: the message; the same object for all envelopes that share it.
        attempt: 1 for the first time.
    """

    message: int
    device: int
    token: str
    msg_key: str
    task: int
    expires_at: int
    content: PushContent
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Check:
    """What trying a channel's credentials showed.

    Attributes:
        ok: whether the vendor takes them.
        text: what it said, and what to change.
        expires_at: when a certificate or secret ends, ms; None if it does not, or that cannot be told.
        reached: whether the vendor was heard; if not, the credentials may be right all the same.
    """

    ok: bool
    text: str
    expires_at: int | None = None
    reached: bool = True


class VendorChannel(Protocol):
    """The way of one app to one vendor. Nothing is raised for what a vendor says or does.

    Attributes:
        batch: how many envelopes are best handed over at once.
    """

    batch: int

    async def send(self, envelopes: Sequence[Envelope]) -> Sequence[SendOutcome]:
        """Send; an outcome for each envelope, in their order. Envelopes may have different contents."""
        ...

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Take back what the vendor took; an outcome for each, in their order."""
        ...

    async def check(self) -> Check:
        """Try the credentials without reaching any device."""
        ...

    async def close(self) -> None:
        """Finish what is under way for a few seconds, and close all connections."""
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


class ReceiptKind(Enum):
    """What a vendor's callback tells of a message."""

    ARRIVED = "arrived"
    INVALID_TOKEN = "invalid token"  # noqa: S105
    MUTED = "muted"
    """It arrived, but the user does not let the app show notifications."""
    WAITING = "waiting"
    """The vendor keeps it for later; another callback may follow."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message of a vendor's callback. It may come before the answer to the message, twice, or days later.

    Attributes:
        vendor_id: as `Accepted` told it; empty if the vendor does not say.
        token: the vendor's token of the device.
        kind: what became of it.
        code: the vendor's own code.
        text: what that means, in plain words.
        at: when it happened, as the vendor says, ms.
        tag: what the message had for a tag, usually the id of its task; empty if the vendor does not say.
    """

    vendor_id: str
    token: str = field(repr=False)
    kind: ReceiptKind
    code: str
    text: str
    at: int
    tag: str = ""


class ReceiptRefused(Exception):
    """A callback that is not the vendor's, or not of its form; the text says why, without secrets."""


class ReceiptForged(ReceiptRefused):
    """A callback that does not prove who made it, or is too old to believe."""
