"""Takes callbacks of vendors: whose they are, whether they are genuine, what they say; on disk before an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

import structlog

from clarion.channels.base import Receipt, ReceiptKind
from clarion.channels.opening import WITH_RECEIPTS
from clarion.clock import Clock
from clarion.delivery.vendors.arrivals import ReceiptFate
from clarion.delivery.vendors.pacing import Pace
from clarion.failures import StoreUnavailable
from clarion.receipts.replays import Replays
from clarion.tenants.receipts import Recipient

log = structlog.get_logger(__name__)

REFUSALS_PER_SECOND = 20.0
"""So many refusals a second are logged; further strangers hear only that they are too many."""


class CallbackOutcome(Enum):
    """How a callback ended."""

    TAKEN = "taken"
    REPLAYED = "replayed"
    """It came before, with the same signature; answered as then."""
    REFUSED = "refused"
    """It is at no address of ours, forged, or not of the vendor's form."""
    UNAVAILABLE = "unavailable"
    """It could not be written; the vendor has to come again."""


RECEIPT_OUTCOMES = (*(kind.name.lower() for kind in ReceiptKind), "repeated", "unknown")
"""What becomes of a receipt: its kind, if it was news."""


class Answer(NamedTuple):
    """The answer to a callback: HTTP status and a JSON body."""

    status: int
    body: bytes


class Intake(Protocol):
    """Records receipts; `delivery.vendors.intake` does."""

    async def told(self, app: int, channel: str, receipts: Sequence[Receipt]) -> list[ReceiptFate]:
        """On disk when this returns; what became of each. Raises `StoreUnavailable`."""
        ...


class Addresses(Protocol):
    """Finds the channel that a path is for; `tenants.receipts` does."""

    async def find(self, path: str) -> Recipient | None:
        """None if there is none, for whatever reason. Raises `StoreUnavailable`."""
        ...


class ReceiptMeter(Protocol):
    """Counts; `observability.metrics` does."""

    def observe_callback(self, outcome: str, count: int = 1) -> None:
        """Count a callback, by a `CallbackOutcome`."""
        ...

    def observe_receipts(self, channel: str, outcome: str, count: int) -> None:
        """Count receipts of a channel, by one of `RECEIPT_OUTCOMES`."""
        ...


class Desk:
    """Takes callbacks.

    Args:
        addresses: finds channels.
        intake: records.
        clock: for signatures, and the pace of refusals.
        meter: counts.
    """

    def __init__(self, addresses: Addresses, intake: Intake, clock: Clock, meter: ReceiptMeter) -> None:
        self._addresses = addresses
        self._intake = intake
        self._clock = clock
        self._meter = meter
        self._replays = Replays(clock)
        # Strangers do not use up what is said to those who know an address.
        self._refusals = {known: Pace(REFUSALS_PER_SECOND) for known in (True, False)}
        for outcome in CallbackOutcome:
            meter.observe_callback(outcome.value, 0)
        for label in WITH_RECEIPTS:
            for name in RECEIPT_OUTCOMES:
                meter.observe_receipts(label, name, 0)

    async def find(self, path: str) -> Recipient | None:
        """The channel that a path is for.

        Raises:
            StoreUnavailable: that cannot be told just now.
        """
        try:
            return await self._addresses.find(path)
        except StoreUnavailable:
            self._meter.observe_callback(CallbackOutcome.UNAVAILABLE.value)
            raise

    def refuse(self, reason: str, recipient: Recipient | None) -> bool:
        """Count and log a refusal; whether the client may be told why.

        Args:
            reason: why, without secrets.
            recipient: whose address it came to; None: a stranger, who may be refused that often only.
        """
        self._meter.observe_callback(CallbackOutcome.REFUSED.value)
        now, pace = self._clock.monotonic(), self._refusals[recipient is not None]
        if pace.wait(now) > 0:
            return recipient is not None
        pace.spend(1, now)
        facts = {} if recipient is None else {"app": recipient.app, "channel": recipient.label}
        log.warning("callback_refused", reason=reason, **facts)
        return True

    async def take(self, recipient: Recipient, headers: Mapping[str, str], body: bytes) -> Answer:
        """Take one callback; its receipts are on disk when this returns.

        Args:
            recipient: whose it is.
            headers: by lower-case name.
            body: as it came.

        Raises:
            ReceiptForged: it does not prove who made it, or is too old to believe.
            ReceiptRefused: it is not of the vendor's form.
            StoreUnavailable: it could not be written; the vendor has to come again.
        """
        app, label, settings, how = recipient
        receipts = how.parse(headers, body, settings, self._clock.now_ms())
        nonce = how.nonce(headers, settings)
        if nonce and self._replays.known(app, label, nonce):
            self._meter.observe_callback(CallbackOutcome.REPLAYED.value)
            return Answer(200, how.answer)
        try:
            fates = await self._intake.told(app, label, receipts)
        except StoreUnavailable:
            self._meter.observe_callback(CallbackOutcome.UNAVAILABLE.value)
            raise
        if nonce:
            self._replays.remember(app, label, nonce)
        self._count(label, receipts, fates)
        return Answer(200, how.answer)

    def _count(self, label: str, receipts: Sequence[Receipt], fates: Sequence[ReceiptFate]) -> None:
        self._meter.observe_callback(CallbackOutcome.TAKEN.value)
        counts = Counter(
            receipt.kind.name.lower() if fate is ReceiptFate.NEWS else fate.value
            for receipt, fate in zip(receipts, fates, strict=True)
        )
        for outcome, count in counts.items():
            self._meter.observe_receipts(label, outcome, count)
