"""What a change of a device's user means for messages: inside the transaction that changes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete, exists, func, or_, select, text, update

from clarion.channels.message import LINK_ONLY, decode_content
from clarion.delivery.accept import DELIVERY_COLUMNS, DEVICE_TYPES, TargetType, delivery_row
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import Count, Figure, Ledger
from clarion.delivery.routing import LINK, Reachable, Routes, way_to
from clarion.delivery.series import KIND_BITS, PLACELESS, kind_of, series_code
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.store.database import Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import OPEN_STATUSES, deliveries, devices, messages, tasks


def _waiting(types: Iterable[TargetType]) -> Query:
    return Query(
        select(
            messages.c.message,
            messages.c.task,
            messages.c.series,
            func.coalesce(messages.c.content, tasks.c.content),
        )
        .join(tasks, tasks.c.task == messages.c.task)
        .where(
            messages.c.app == bindparam("app"),
            messages.c.target == bindparam("target"),
            or_(*(messages.c.target_type == kind for kind in sorted(map(int, types)))),
            text(OPEN_STATUSES),
            messages.c.expires_at > bindparam("now"),
        )
    )


_WAITING_FOR_USER = _waiting([TargetType.USER])
_WAITING_FOR_TOKEN = _waiting(DEVICE_TYPES)
_WAITING_FOR_ACTIVITY = _waiting([TargetType.ACTIVITY_ID])
_INSERT_DELIVERIES = Insert(deliveries, DELIVERY_COLUMNS, on_conflict="DO NOTHING", returning=("message",))
_SET_BOUND = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE), status_at=bindparam("now"))
        .where(terms.any_of(messages.c.message, "attached"), messages.c.status == int(MessageStatus.NO_BIND_INFO))
    ),
    lists=("attached",),
)
_PLACE = Query(
    lambda terms: (
        update(messages)
        .values(series=messages.c.series.bitwise_and(KIND_BITS) + bindparam("place"))
        .where(terms.any_of(messages.c.message, "attached"), messages.c.series >= PLACELESS)
    ),
    lists=("attached",),
)
_WITHDRAW = Query(
    delete(deliveries)
    .where(
        deliveries.c.device == bindparam("device"),
        exists(
            select(messages.c.message).where(
                messages.c.message == deliveries.c.message,
                messages.c.target_type == int(TargetType.USER),
            )
        ),
    )
    .returning(deliveries.c.message)
)
_SET_UNBOUND = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.NO_BIND_INFO), status_at=bindparam("now"))
        .where(
            terms.any_of(messages.c.message, "withdrawn"),
            messages.c.status == int(MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE),
            ~exists(
                select(devices.c.device).where(
                    devices.c.app == bindparam("app"),
                    devices.c.user_id == bindparam("user_id"),
                    devices.c.device != bindparam("device"),
                )
            ),
        )
    ),
    lists=("withdrawn",),
)


class Binder:
    """Owes devices the messages that waited for them, and withdraws those that are not for them any more.

    Args:
        ledger: counts a message under the device that it found.
        routes: the vendor channels that apps have set up.
    """

    def __init__(self, ledger: Ledger, routes: Routes) -> None:
        self._ledger = ledger
        self._routes = routes

    async def attach_user(
        self, transaction: Transaction, app: int, user_id: str, device: Reachable, hop: int, now: int
    ) -> int:
        """Owe the device every open message of the user it was bound to; how many.

        Args:
            transaction: the one that writes the binding; it has passed the user's gate (`store.gates`).
            app: internal number of the app.
            user_id: the user.
            device: the device that is bound to them now.
            hop: number of the trace's hop.
            now: time, ms.
        """
        waiting = await transaction.fetch(_WAITING_FOR_USER, app=app, target=user_id, now=now)
        return await self._bind(transaction, app, device, waiting, hop, now)

    async def attach_activity(
        self, transaction: Transaction, app: int, activity_id: str, activity: Reachable, hop: int, now: int
    ) -> int:
        """Owe a live activity, whose push token was reported now, every open message to its id; how many.

        The transaction has passed the id's gate.
        """
        waiting = await transaction.fetch(_WAITING_FOR_ACTIVITY, app=app, target=activity_id, now=now)
        return await self._bind(transaction, app, activity, waiting, hop, now)

    async def _bind(
        self, transaction: Transaction, app: int, device: Reachable, waiting: Sequence[Row], hop: int, now: int
    ) -> int:
        attached = await self._attach(transaction, app, device, waiting, now)
        if attached:
            await transaction.execute(_SET_BOUND, attached=list(attached), now=now)
            await write_hops(
                transaction,
                [
                    Hop(message, hop, now, device.device, Stage.BOUND, outcome)
                    for message, outcome in attached.items()
                ],
            )
        return len(attached)

    async def attach_token(
        self, transaction: Transaction, app: int, token: str, device: Reachable, hop: int, now: int
    ) -> int:
        """Owe a device that was unknown until now every open message to its token; how many.

        The transaction has passed the token's gate.
        """
        waiting = await transaction.fetch(_WAITING_FOR_TOKEN, app=app, target=token, now=now)
        attached = await self._attach(transaction, app, device, waiting, now)
        await write_hops(
            transaction,
            [
                Hop(message, hop, now, device.device, Stage.PLANNED, outcome)
                for message, outcome in attached.items()
            ],
        )
        return len(attached)

    async def _attach(
        self, transaction: Transaction, app: int, device: Reachable, waiting: Sequence[Row], now: int
    ) -> dict[int, Outcome]:
        """Owe the device these messages; how each waits there."""
        if not waiting:
            return {}
        configured = self._routes.channels(app)
        ways = {message: _way(device, configured, bytes(content)) for message, _, _, content in waiting}
        rows = [delivery_row(device.device, message, app, now, way) for message, way in ways.items()]
        attached = frozenset(message for (message,) in await transaction.insert(_INSERT_DELIVERIES, rows))
        counts = []
        for way in sorted(set(ways.values())):
            place = series_code(0, device.platform, way)
            some = [message for message in sorted(attached) if ways[message] == way]
            await transaction.execute(_PLACE, attached=some, place=place)
            for message, task, series, _ in waiting:
                if message in attached and ways[message] == way and series >= PLACELESS:
                    counts.append(Count(app, task, message, series, Figure.TOTAL, -1))
                    counts.append(Count(app, task, message, place + kind_of(series), Figure.TOTAL))
        await self._ledger.count(transaction, counts, now)
        return {message: _waits(ways[message], configured) for message in sorted(attached)}


def _waits(way: str, configured: frozenset[str]) -> Outcome:
    if way == LINK:
        return Outcome.QUEUED
    return Outcome.VENDOR_QUEUED if way in configured else Outcome.NO_CHANNEL


def _way(device: Reachable, configured: frozenset[str], content: bytes) -> str:
    if device.channel not in configured:
        return device.only or LINK
    return way_to(device, configured, link_only=decode_content(content).notify_type == LINK_ONLY)


async def detach(transaction: Transaction, app: int, user_id: str, device: int, hop: int, now: int) -> int:
    """Withdraw from the device what was meant for the user who left it; how many messages.

    The next person to use the device must not read it. Messages without another device wait for a binding.
    The transaction has passed the user's gate.
    """
    withdrawn = [message for (message,) in await transaction.fetch(_WITHDRAW, device=device)]
    if withdrawn:
        await transaction.execute(
            _SET_UNBOUND, withdrawn=withdrawn, app=app, user_id=user_id, device=device, now=now
        )
        await write_hops(
            transaction,
            [Hop(message, hop, now, device, Stage.UNBOUND, Outcome.WITHDRAWN) for message in withdrawn],
        )
    return len(withdrawn)
