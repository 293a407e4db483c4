"""What a change of a device's user means for messages: inside the transaction that changes it."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, exists, select, text, update

from clarion.delivery.accept import DELIVERY_COLUMNS, TargetType, delivery_row
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.store.database import Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import OPEN_STATUSES, deliveries, devices, messages

_WAITING = Query(
    select(messages.c.message).where(
        messages.c.app == bindparam("app"),
        messages.c.target == bindparam("user_id"),
        messages.c.target_type == int(TargetType.USER),
        text(OPEN_STATUSES),
        messages.c.expires_at > bindparam("now"),
    )
)
_INSERT_DELIVERIES = Insert(deliveries, DELIVERY_COLUMNS, on_conflict="DO NOTHING", returning=("message",))
_SET_BOUND = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE), status_at=bindparam("now"))
        .where(terms.any_of(messages.c.message, "attached"), messages.c.status == int(MessageStatus.NO_BIND_INFO))
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


async def attach(transaction: Transaction, app: int, user_id: str, device: int, hop: int, now: int) -> int:
    """Owe the device every open message of the user it was bound to; how many.

    Args:
        transaction: the one that writes the binding; it has passed the user's gate (`store.gates`).
        app: internal number of the app.
        user_id: the user.
        device: the device that is bound to them now.
        hop: number of the trace's hop.
        now: time, ms.
    """
    waiting = await transaction.fetch(_WAITING, app=app, user_id=user_id, now=now)
    if not waiting:
        return 0
    rows = [delivery_row(device, message, app, now) for (message,) in waiting]
    attached = [message for (message,) in await transaction.insert(_INSERT_DELIVERIES, rows)]
    await transaction.execute(_SET_BOUND, attached=attached, now=now)
    await write_hops(
        transaction,
        [Hop(message, hop, now, device, Stage.BOUND, Outcome.QUEUED) for message in attached],
    )
    return len(attached)


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
