"""Live activities: what stands for a device when a message goes to one, and what becomes of messages when it ends.

A message to an activity has a row of `deliveries` like any other, on the APNs channel whether or not that is set
up, since there is no other way to an activity. Its "device" is the number of the activity; a push token that is a
target itself has no number, and the message's own stands for it. All of them come from one generator, so none is
a device's.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, case, delete, exists, func, literal_column, select, update
from sqlalchemy.sql import ColumnElement

from clarion.channels.registry import Channel, Platform
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.routing import Reachable
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import deliveries, devices, messages
from clarion.store.schema_vendors import activities

ONLY_WAY = Channel.APNS.label
"""The one way to a live activity."""

_IOS: ColumnElement[str] = literal_column(f"'{Platform.IOS.label}'")
_BY_APNS: ColumnElement[str] = literal_column(f"'{ONLY_WAY}'")
ACTIVITIES_BY_ID = Query(
    lambda terms: select(
        activities.c.activity_id, activities.c.activity, _IOS, _BY_APNS, activities.c.push_token, _BY_APNS
    ).where(activities.c.app == bindparam("app"), terms.any_of(activities.c.activity_id, "targets")),
    lists=("targets",),
)
"""The live activities of an `app` with one of the ids `targets`: the id, and what makes it `Reachable`."""

_WITHDRAW = Query(
    lambda terms: (
        delete(deliveries).where(terms.any_of(deliveries.c.device, "ended")).returning(deliveries.c.message)
    ),
    lists=("ended",),
)
_SET_UNKNOWN = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.NO_BIND_INFO), status_at=bindparam("now"))
        .where(
            terms.any_of(messages.c.message, "withdrawn"),
            messages.c.status == int(MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE),
            ~exists(
                select(activities.c.activity).where(
                    activities.c.app == messages.c.app, activities.c.activity_id == messages.c.target
                )
            ),
        )
    ),
    lists=("withdrawn",),
)
_DROP = Query(
    delete(activities)
    .where(
        activities.c.activity == bindparam("id"),
        activities.c.push_token == bindparam("address"),
        activities.c.reported_at < bindparam("before"),
    )
    .returning(activities.c.activity)
)


def reachable(number: int, push_token: str) -> Reachable:
    """What stands for a device: the number of a live activity, and its push token."""
    return Reachable(number, Platform.IOS.label, ONLY_WAY, push_token, only=ONLY_WAY)


def address(target_is_token: ColumnElement[bool]) -> ColumnElement[str]:
    """Where a delivery goes, in SQL: the device's vendor token, or the push token of the live activity.

    Args:
        target_is_token: whether the target of the message is a push token itself.
    """
    of_activity = select(activities.c.push_token).where(activities.c.activity == deliveries.c.device)
    return func.coalesce(
        devices.c.vendor_token, of_activity.scalar_subquery(), case((target_is_token, messages.c.target))
    )


async def withdraw(transaction: Transaction, ended: Sequence[int], hop: int, now: int) -> int:
    """Withdraw what waits for activities whose rows are gone; how many messages.

    They wait for the next report of the same activity id, until they expire.

    Args:
        transaction: the one that deleted the rows.
        ended: numbers of the activities.
        hop: number of the trace's hop.
        now: time, ms.
    """
    withdrawn = sorted({message for (message,) in await transaction.fetch(_WITHDRAW, ended=ended)})
    if withdrawn:
        await transaction.execute(_SET_UNKNOWN, withdrawn=withdrawn, now=now)
        await write_hops(
            transaction,
            [Hop(message, hop, now, None, Stage.UNBOUND, Outcome.ACTIVITY_ENDED) for message in withdrawn],
        )
    return len(withdrawn)


async def drop_token(
    transaction: Transaction, activity: int, push_token: str, before: int, hop: int, now: int
) -> None:
    """Forget an activity whose push token Apple calls dead, if it was reported before `before` (ms)."""
    ended = await transaction.fetch(_DROP, id=activity, address=push_token, before=before)
    if ended:
        await withdraw(transaction, [activity], hop, now)
