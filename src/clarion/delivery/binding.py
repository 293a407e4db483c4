"""What a change of a device's user means for messages: inside the transaction that changes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete, exists, or_, select, text, update

from clarion.channels.registry import Channel
from clarion.delivery.accept import DELIVERY_COLUMNS, DEVICE_TYPES, TargetType, delivery_row
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import Count, Figure, Ledger
from clarion.delivery.series import KIND_BITS, PLACELESS, kind_of, series_code
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.store.database import Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import OPEN_STATUSES, deliveries, devices, messages


def _waiting(types: Iterable[TargetType]) -> Query:
    return Query(
        select(messages.c.message, messages.c.task, messages.c.series).where(
            messages.c.app == bindparam("app"),
            messages.c.target == bindparam("target"),
            or_(*(messages.c.target_type == kind for kind in sorted(map(int, types)))),
            text(OPEN_STATUSES),
            messages.c.expires_at > bindparam("now"),
        )
    )


_WAITING_FOR_USER = _waiting([TargetType.USER])
_WAITING_FOR_TOKEN = _waiting(DEVICE_TYPES)
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
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def attach_user(
        self, transaction: Transaction, app: int, user_id: str, device: int, platform: str, hop: int, now: int
    ) -> int:
        """Owe the device every open message of the user it was bound to; how many.

        Args:
            transaction: the one that writes the binding; it has passed the user's gate (`store.gates`).
            app: internal number of the app.
            user_id: the user.
            device: the device that is bound to them now.
            platform: label of the device's platform.
            hop: number of the trace's hop.
            now: time, ms.
        """
        waiting = await transaction.fetch(_WAITING_FOR_USER, app=app, target=user_id, now=now)
        attached = await self._attach(transaction, app, device, platform, waiting, now)
        if attached:
            await transaction.execute(_SET_BOUND, attached=attached, now=now)
            await write_hops(
                transaction, [Hop(message, hop, now, device, Stage.BOUND, Outcome.QUEUED) for message in attached]
            )
        return len(attached)

    async def attach_token(
        self, transaction: Transaction, app: int, token: str, device: int, platform: str, hop: int, now: int
    ) -> int:
        """Owe a device that was unknown until now every open message to its token; how many.

        The transaction has passed the token's gate.
        """
        waiting = await transaction.fetch(_WAITING_FOR_TOKEN, app=app, target=token, now=now)
        attached = await self._attach(transaction, app, device, platform, waiting, now)
        await write_hops(
            transaction, [Hop(message, hop, now, device, Stage.PLANNED, Outcome.QUEUED) for message in attached]
        )
        return len(attached)

    async def _attach(
        self, transaction: Transaction, app: int, device: int, platform: str, waiting: Sequence[Row], now: int
    ) -> list[int]:
        if not waiting:
            return []
        rows = [delivery_row(device, message, app, now) for message, _, _ in waiting]
        attached = [message for (message,) in await transaction.insert(_INSERT_DELIVERIES, rows)]
        place = series_code(0, platform, Channel.LINK.label)
        await transaction.execute(_PLACE, attached=attached, place=place)
        found, counts = frozenset(attached), []
        for message, task, series in waiting:
            if message in found and series >= PLACELESS:
                counts.append(Count(app, task, message, series, Figure.TOTAL, -1))
                counts.append(Count(app, task, message, place + kind_of(series), Figure.TOTAL))
        await self._ledger.count(transaction, counts, now)
        return attached


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
