"""Vendors that answer as a test says, and apps that have set their channels up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from clarion.channels.base import (
    Accepted,
    Check,
    Envelope,
    NotRecallable,
    RecallOutcome,
    SendOutcome,
    VendorCopy,
)
from clarion.channels.files import Terms
from clarion.delivery.vendors.lines import LineName

ANDROID_CHANNELS = frozenset({"hms", "fcm", "miui", "oppo", "vivo", "honor"})


class FakeVendor:
    """Takes everything, unless `answer` says otherwise.

    Attributes:
        sent: what was sent.
        answer: gives the outcome of an envelope.
        gate: cleared, it holds all answers back.
        asked: what it was asked to take back.
        regret: gives the outcome of that.
    """

    batch = 100

    def __init__(self) -> None:
        self.sent: list[Envelope] = []
        self.answer: Callable[[Envelope], SendOutcome] = lambda envelope: Accepted(f"id-{envelope.message}")
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[VendorCopy] = []
        self.regret: Callable[[VendorCopy], RecallOutcome] = lambda _: NotRecallable()

    async def send(self, envelopes: Sequence[Envelope]) -> Sequence[SendOutcome]:
        self.sent += envelopes
        await self.gate.wait()
        return [self.answer(envelope) for envelope in envelopes]

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        self.asked += copies
        return [self.regret(copy) for copy in copies]

    async def check(self) -> Check:
        return Check(ok=True, text="")

    async def close(self) -> None:
        self.gate.set()


class FakeChannels:
    """The channels of apps: both `Routes` and `ChannelSource`."""

    def __init__(self) -> None:
        self.vendors: dict[LineName, FakeVendor] = {}
        self.limits: dict[LineName, Terms] = {}
        self.known: set[int] = set()
        self.revision = 0

    def set_up(self, app: int, channel: str) -> FakeVendor:
        self.revision += 1
        self.known.add(app)
        vendor = self.vendors[LineName(app, channel)] = FakeVendor()
        return vendor

    def channels(self, app: int) -> frozenset[str]:
        return frozenset(name.channel for name in self.vendors if name.app == app)

    def apps(self) -> Iterable[int]:
        return self.known

    def revision_of(self, name: LineName) -> int | None:
        return self.revision if name in self.vendors else None

    def configured(self) -> Iterable[LineName]:
        return list(self.vendors)

    async def open(self, name: LineName) -> FakeVendor | None:
        return self.vendors.get(name)

    async def terms(self, name: LineName) -> Terms:
        return self.limits.get(name, Terms())

    def has_link(self, name: LineName) -> bool:
        return name.channel in ANDROID_CHANNELS
