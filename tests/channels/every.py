"""All nine channels alike: a device, a message, and a short way to the vendor's simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import import_module
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from clarion.channels import sender
from clarion.channels.base import Envelope, SendOutcome, VendorChannel, VendorCopy
from clarion.channels.fcm import client as fcm_client
from clarion.channels.http import HttpClient
from clarion.channels.message import PushContent, Sms
from clarion.channels.opening import FOLDERS, parse
from clarion.clock import Clock, ManualClock
from clarion.http2.pool import PoolLimits
from clarion.simulators import registry
from clarion.simulators.base import Received, Surroundings
from clarion.simulators.faults import FaultBook
from clarion.simulators.hall import Hall
from tests.channels.host import CONTENT, envelope, gateway

LABELS = tuple(FOLDERS)
HTTP2 = ("apns", "fcm")
OAUTH = ("fcm", "hms", "honor", "oppo", "vivo")
"""Those that ask for access tokens."""

TOKENS: Mapping[str, tuple[str, ...]] = {
    **{label: tuple(f"device-token-{number}-of-{label}" for number in (1, 2, 3)) for label in FOLDERS},
    "apns": tuple(f"{number:064x}" for number in (0xABC, 0xDEF, 0x123)),
    "fcm": tuple(f"fcm-token:{number:064x}" for number in (1, 2, 3)),
    "oppo": tuple(f"OPPO_CN_{number:032x}" for number in (0xABC, 0xDEF, 0x123)),
    "sms": ("13800138001", "13800138002", "13800138003"),
}
"""Devices."""

MESSAGES: Mapping[str, str] = {
    "apns": "/3/device/", "fcm": "messages:send", "hms": "messages:send", "harmony": "messages:send",
    "honor": "sendMessage", "miui": "/message", "oppo": "/notification", "vivo": "/message/send", "sms": "/",
}  # fmt: skip
"""What the paths of messages have in them, and those of access tokens do not."""

_numbers = count(1)

SHORT = PushContent(CONTENT.title, CONTENT.content, sms=Sms(1, "Clarion", "SMS_1", '{"code":"1234"}'))


@cache
def known(label: str) -> dict[str, Any]:
    """Credentials that all tests share, as a new key takes its time."""
    simulator: Any = registry.create(label, Surroundings(ManualClock(), FaultBook()))
    return dict(simulator.credentials("http://127.0.0.1:1"))


@asynccontextmanager
async def opened(
    label: str, clock: Clock, *, seconds: float = 5.0, **changes: Any
) -> AsyncIterator[tuple[Hall, VendorChannel]]:
    """A simulator and a channel to it.

    Args:
        label: of the channel.
        clock: of both.
        seconds: for one call.
        changes: members of the channel file.
    """
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        (folder / f"{label}.json").write_bytes(msgspec.json.encode(known(label)))
        patch.setattr(sender, "PoolLimits", partial(PoolLimits, request_timeout=seconds))
        patch.setattr(fcm_client, "HttpClient", partial(HttpClient, seconds=seconds))
        patch.setattr(import_module(f"{FOLDERS[label]}.client"), "CHECK_SECONDS", seconds, raising=False)
        async with gateway(label, folder, clock) as hall:
            file = msgspec.json.encode({**hall.credentials(label), **changes})
            limits = {} if label in HTTP2 else {"seconds": seconds}
            channel: VendorChannel = import_module(FOLDERS[label]).open_channel(parse(label, file), clock, **limits)
            try:
                yield hall, channel
            finally:
                await channel.close()


def envelopes(label: str, clock: Clock, devices: int = 1, content: PushContent = SHORT) -> list[Envelope]:
    """A message that was not sent before, to some devices."""
    message = 247462019072000 + next(_numbers)
    return [
        envelope(token, clock.now_ms(), content=content, device=number, message=message, msg_key=f"key-{message}")
        for number, token in enumerate(TOKENS[label][:devices])
    ]


async def send(label: str, channel: VendorChannel, clock: Clock) -> SendOutcome:
    """Send a message to one device."""
    (outcome,) = await channel.send(envelopes(label, clock))
    return outcome


def copies(label: str) -> Sequence[VendorCopy]:
    """A message that a vendor took."""
    return [VendorCopy(1, 1, TOKENS[label][0], "vendor-id", "order-1")]


def is_message(request: Received) -> bool:
    """Whether a request is no call for an access token."""
    return not request.path.endswith(("token", "auth"))
