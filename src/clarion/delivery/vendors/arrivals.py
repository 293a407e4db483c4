"""What vendors tell of messages that they took: each receipt has its effect once, whether early, late or doubled.

A receipt names the vendor's token of a device and, as its tag, the task. It may come before the answer to the
message has been recorded: the delivery is there still, and settled by it, so that the answer finds nothing left to
count or to send again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import NamedTuple, Protocol

from sqlalchemy import and_, bindparam, case, delete, or_, select

from clarion.channels.base import Receipt, ReceiptKind
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import EventKind, Ledger
from clarion.delivery.reports import INSERT_REPORTS, Report, count_told
from clarion.delivery.series import PushKind
from clarion.delivery.states import Outcome, Stage
from clarion.delivery.vendors.recorder import mark_taken
from clarion.delivery.vendors.tokens import DROP_TOKEN
from clarion.ids import IdGenerator, id_time_ms
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import deliveries, devices, hops, messages, tasks

_MAX_CODE = 64
_MAX_DETAIL = 300
_MAX_DIGITS = 16

STEPS: Mapping[ReceiptKind, tuple[Stage, Outcome]] = {
    ReceiptKind.ARRIVED: (Stage.ARRIVED, Outcome.CONFIRMED),
    ReceiptKind.MUTED: (Stage.RECEIPT, Outcome.MUTED),
    ReceiptKind.WAITING: (Stage.RECEIPT, Outcome.HELD),
    ReceiptKind.FAILED: (Stage.RECEIPT, Outcome.NOT_ARRIVED),
    ReceiptKind.INVALID_TOKEN: (Stage.RECEIPT, Outcome.INVALID_TOKEN),
}
"""What the trace calls a receipt."""

_TAKEN = frozenset({ReceiptKind.ARRIVED, ReceiptKind.MUTED, ReceiptKind.WAITING})
"""Receipts of messages that the vendor has, or has passed on: nothing is owed any more."""

_DEVICES = Query(
    lambda terms: select(devices.c.vendor_token, devices.c.device, devices.c.token, devices.c.user_id).where(
        devices.c.app == bindparam("app"),
        devices.c.channel == bindparam("way"),
        terms.any_of(devices.c.vendor_token, "addresses"),
    ),
    lists=("addresses",),
)
_TASKS = Query(
    lambda terms: select(tasks.c.task, tasks.c.kind, tasks.c.first_message).where(
        terms.any_of(tasks.c.task, "tasks"), tasks.c.app == bindparam("app")
    ),
    lists=("tasks",),
)
_OWED = Query(
    lambda terms: (
        select(deliveries.c.device, deliveries.c.message, messages.c.task)
        .join(messages, messages.c.message == deliveries.c.message)
        .where(
            terms.any_of(deliveries.c.device, "devices"),
            deliveries.c.message >= bindparam("first"),
            deliveries.c.message < bindparam("last"),
            deliveries.c.channel == bindparam("way"),
        )
    ),
    lists=("devices",),
)
_SENT_BY_VENDOR = and_(hops.c.stage == Stage.SENT.value, hops.c.outcome != Outcome.WRITTEN.label)
_THERE_ALREADY = or_(
    hops.c.stage == Stage.RECEIPT.value,
    hops.c.stage == Stage.ACKED.value,  # by a report of the device, also before the vendor's answer
    hops.c.outcome == Outcome.CONFIRMED.label,
)
_SENT = Query(
    lambda terms: (
        select(hops.c.device, hops.c.message, case((_SENT_BY_VENDOR, hops.c.code)))
        .join(messages, messages.c.message == hops.c.message)
        .where(
            hops.c.message >= bindparam("first"),
            hops.c.message < bindparam("task"),
            messages.c.task == bindparam("task"),
            terms.any_of(hops.c.device, "devices"),
            or_(_SENT_BY_VENDOR, _THERE_ALREADY),
        )
    ),
    lists=("devices",),
)
_NAMED = Query(
    lambda terms: (
        select(hops.c.device, hops.c.message, hops.c.code)
        .join(messages, messages.c.message == hops.c.message)
        .where(
            messages.c.app == bindparam("app"),
            terms.any_of(messages.c.target, "targets"),
            terms.any_of(hops.c.device, "devices"),
            terms.any_of(hops.c.code, "names"),
            _SENT_BY_VENDOR,
        )
    ),
    lists=("targets", "devices", "names"),
)
_SETTLE = Query(
    lambda terms: (
        delete(deliveries)
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"))
        .returning(deliveries.c.device, deliveries.c.message)
    ),
    pairs=("pairs",),
)


class ReceiptFate(Enum):
    """What became of a receipt."""

    NEWS = "news"
    REPEATED = "repeated"
    """It came before, and changed nothing."""
    UNKNOWN = "unknown"
    """No such message is known for the device, or no longer."""


class Told(NamedTuple):
    """Receipts of one callback, or some of them.

    Attributes:
        app: internal number of the app.
        channel: label of the channel.
        now: when they came, ms.
        receipts: what they say; texts without NUL.
    """

    app: int
    channel: str
    now: int
    receipts: Sequence[Receipt]


class BroadcastArrivals(Protocol):
    """Where broadcasts, which have no messages of their own, keep who has them."""

    async def arrived(self, transaction: Transaction, task: int, times: Mapping[int, int]) -> frozenset[int]:
        """Note that devices have a broadcast; each may be told again.

        Args:
            transaction: written with.
            task: the task of the broadcast.
            times: since when (ms), by internal number of the device.

        Returns:
            Those of the devices that it was not for.
        """
        ...


class _Copy(NamedTuple):
    """A message that a vendor was sent for a device; `vendor_id` is empty where it is not known (yet)."""

    device: int
    message: int
    vendor_id: str


class _Match(NamedTuple):
    """A receipt, the copy that it is about, and what it is known by when it comes again."""

    receipt: Receipt
    copy: _Copy
    at: int

    @property
    def key(self) -> tuple[int, int, str]:
        return self.copy.message, self.copy.device, f"{self.receipt.kind.value}:{self.receipt.code[:_MAX_CODE]}"


_Name = int | str
"""What a receipt calls a message besides its device: a task, or the vendor's own id."""


class Arrivals:
    """Records receipts.

    Args:
        ledger: counts, and tells app servers.
        ids: numbers of hops.
        broadcasts: takes those of broadcasts; None: they are unknown.
    """

    def __init__(self, ledger: Ledger, ids: IdGenerator, broadcasts: BroadcastArrivals | None = None) -> None:
        self._ledger = ledger
        self._ids = ids
        self._broadcasts = broadcasts

    async def record(self, transaction: Transaction, batch: Sequence[Told]) -> list[list[ReceiptFate]]:
        """Record receipts, best some hundred at once; a handler for `GroupWriter.submit`."""
        together: dict[tuple[int, str], list[Told]] = defaultdict(list)
        for told in batch:
            together[told.app, told.channel].append(told)
        fates: dict[int, list[ReceiptFate]] = {}
        for (app, channel), some in sorted(together.items()):
            receipts = [receipt for told in some for receipt in told.receipts]
            found = iter(await self._record(transaction, Told(app, channel, some[-1].now, receipts)))
            fates |= {id(told): list(islice(found, len(told.receipts))) for told in some}
        return [fates[id(told)] for told in batch]

    async def _record(self, transaction: Transaction, told: Told) -> list[ReceiptFate]:
        addresses = sorted({receipt.token for receipt in told.receipts})
        rows = await transaction.fetch(_DEVICES, app=told.app, way=told.channel, addresses=addresses)
        holders: dict[str, list[int]] = defaultdict(list)
        for address, device, _, _ in rows:
            holders[address].append(device)
        if not holders:
            return [ReceiptFate.UNKNOWN] * len(told.receipts)
        mine = [receipt for receipt in told.receipts if receipt.token in holders]
        targets = sorted({name for _, _, *names in rows for name in names if name is not None})
        copies, broadcasts = await self._copies(transaction, told, mine, sorted({row[1] for row in rows}), targets)
        matches: dict[int, _Match] = {}
        for place, receipt in enumerate(told.receipts):
            found = [
                it for device in holders.get(receipt.token, ()) for it in copies.get((device, _name(receipt)), ())
            ]
            if found:
                copy = min(found, key=lambda it: _doubt(it, receipt))
                matches[place] = _Match(receipt, copy, _within(receipt.at, copy.message, told.now))
        fates = await self._write(transaction, told, matches)
        await self._tell_broadcasts(transaction, told, broadcasts, holders, fates)
        await _drop_tokens(transaction, told, holders, fates)
        return [fates.get(place, ReceiptFate.UNKNOWN) for place in range(len(told.receipts))]

    async def _copies(
        self, transaction: Transaction, told: Told, mine: Sequence[Receipt], owners: list[int], targets: list[str]
    ) -> tuple[Mapping[tuple[int, _Name], list[_Copy]], frozenset[int]]:
        """Messages that these devices were sent, by device and name; and the broadcasts among the names."""
        names = {_name(receipt) for receipt in mine}
        rows = await transaction.fetch(_TASKS, app=told.app, tasks=sorted(n for n in names if isinstance(n, int)))
        firsts = {task: first for task, _, first in rows if first is not None}
        copies: dict[tuple[int, _Name], list[_Copy]] = defaultdict(list)
        if firsts:
            # First what is owed, then what was sent: an answer that is recorded meanwhile is seen here or there.
            first, last = min(firsts.values()), max(firsts)
            for device, message, task in await transaction.fetch(
                _OWED, devices=owners, first=first, last=last, way=told.channel
            ):
                copies[device, task].append(_Copy(device, message, ""))
        for task, first in sorted(firsts.items()):
            for device, message, code in await transaction.fetch(_SENT, devices=owners, first=first, task=task):
                copies[device, task].append(_Copy(device, message, code or ""))
        ids = sorted(name for name in names if isinstance(name, str) and name)
        if ids:
            for device, message, code in await transaction.fetch(
                _NAMED, app=told.app, targets=targets, devices=owners, names=ids
            ):
                copies[device, code].append(_Copy(device, message, code))
        return copies, frozenset(task for task, kind, _ in rows if kind == PushKind.BROADCAST)

    async def _write(
        self, transaction: Transaction, told: Told, matches: Mapping[int, _Match]
    ) -> dict[int, ReceiptFate]:
        if not matches:
            return {}
        await self._settle(transaction, told, matches.values())
        by_key: dict[tuple[int, int, str], int] = {}
        for place, match in matches.items():
            by_key.setdefault(match.key, place)
        written = await transaction.insert(INSERT_REPORTS, [(*key, matches[by_key[key]].at) for key in by_key])
        news = {by_key[message, device, kind] for message, device, kind in written}
        new = [matches[place] for place in sorted(news)]
        await write_hops(transaction, [self._hop(match, told.channel) for match in new])
        arrived = [
            Report(match.copy.device, match.copy.message, EventKind.ARRIVE, 0, match.at)
            for match in new
            if match.receipt.kind is ReceiptKind.ARRIVED
        ]
        await count_told(transaction, self._ledger, arrived, told.now)
        return {place: ReceiptFate.NEWS if place in news else ReceiptFate.REPEATED for place in matches}

    async def _settle(self, transaction: Transaction, told: Told, matches: Iterable[_Match]) -> None:
        """What the vendor has is owed no more, although its answer has not been recorded."""
        pairs = sorted({(m.copy.device, m.copy.message) for m in matches if m.receipt.kind in _TAKEN})
        settled = pairs and await transaction.fetch(_SETTLE, pairs=pairs)
        await mark_taken(transaction, self._ledger, {message: device for device, message in settled}, told.now)

    async def _tell_broadcasts(
        self,
        transaction: Transaction,
        told: Told,
        tags: frozenset[int],
        holders: Mapping[str, Sequence[int]],
        fates: dict[int, ReceiptFate],
    ) -> None:
        if self._broadcasts is None:
            return
        times: dict[int, dict[int, int]] = defaultdict(dict)
        places: dict[int, tuple[int, int]] = {}
        for place, receipt in enumerate(told.receipts):
            task = _name(receipt)
            if isinstance(task, int) and task in tags and receipt.token in holders:
                fates[place] = ReceiptFate.NEWS  # figures of broadcasts know arrivals alone
                if receipt.kind is ReceiptKind.ARRIVED:
                    device = holders[receipt.token][-1]
                    times[task].setdefault(device, _within(receipt.at, task, told.now))
                    places[place] = task, device
        for task in sorted(times):
            strangers = await self._broadcasts.arrived(transaction, task, times[task])
            for place, (of, device) in places.items():
                if of == task and device in strangers:
                    fates[place] = ReceiptFate.UNKNOWN

    def _hop(self, match: _Match, channel: str) -> Hop:
        stage, outcome = STEPS[match.receipt.kind]
        code, text = match.receipt.code[:_MAX_CODE], match.receipt.text[:_MAX_DETAIL]
        copy = match.copy
        return Hop(
            copy.message,
            self._ids.next(),
            match.at,
            copy.device,
            stage,
            outcome,
            code or None,
            text or None,
            channel,
        )


async def _drop_tokens(
    transaction: Transaction, told: Told, holders: Mapping[str, Sequence[int]], fates: dict[int, ReceiptFate]
) -> None:
    """Forget tokens that are nobody's any more, also when the message is not known; not those reported later."""
    for place, receipt in enumerate(told.receipts):
        if receipt.kind is ReceiptKind.INVALID_TOKEN:
            for device in holders.get(receipt.token, ()):
                before = min(receipt.at, told.now)
                if await transaction.execute(DROP_TOKEN, id=device, address=receipt.token, before=before):
                    fates.setdefault(place, ReceiptFate.NEWS)


def _name(receipt: Receipt) -> _Name:
    tag = receipt.tag
    return int(tag) if tag.isascii() and tag.isdigit() and len(tag) <= _MAX_DIGITS else receipt.vendor_id


def _doubt(copy: _Copy, receipt: Receipt) -> tuple[int, int]:
    """The least for the copy that a receipt is about, of several of one task; the vendor's id may tell."""
    named = bool(receipt.vendor_id) and copy.vendor_id == receipt.vendor_id
    return 0 if named else 2 if copy.vendor_id else 1, copy.message


def _within(at: int, message: int, now: int) -> int:
    """A vendor's time (ms), kept within the life of the message so far."""
    return min(now, max(id_time_ms(message), at))
