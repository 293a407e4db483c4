"""Leases: one worker at a time does a job, and one that lost its lease cannot write.

A lease has an owner, an epoch that grows each time it changes hands, and an expiry. A holder names its epoch in
every transaction (`Lease.fence`); if the epoch has moved on, the transaction fails.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select, text

from clarion.clock import Clock
from clarion.store.database import Database, Transaction
from clarion.store.queries import Query
from clarion.store.schema import leases

_TAKE = Query(
    text(
        "INSERT INTO leases (name, owner, epoch, expires_at) VALUES (:name, :owner, 1, :expires) "
        "ON CONFLICT (name) DO UPDATE SET "
        "epoch = CASE WHEN leases.owner = excluded.owner THEN leases.epoch ELSE leases.epoch + 1 END, "
        "owner = excluded.owner, expires_at = excluded.expires_at "
        "WHERE leases.owner = excluded.owner OR leases.expires_at < :now "
        "RETURNING epoch"
    )
)
# Locked on PostgreSQL, so that the lease cannot change hands between the fence and the commit.
_EPOCH = Query(
    select(leases.c.owner, leases.c.epoch).where(leases.c.name == bindparam("name")).with_for_update(read=True)
)
_RELEASE = Query(text("UPDATE leases SET expires_at = 0 WHERE name = :name AND owner = :owner AND epoch = :epoch"))


class LeaseLost(Exception):
    """Another worker holds the lease now; what this one was about to write must not be written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was obtained; valid until `expires_at` (ms) unless renewed by another `acquire`."""

    name: str
    owner: str
    epoch: int
    expires_at: int

    async def fence(self, transaction: Transaction) -> None:
        """Make `transaction` fail unless the lease is still this one.

        Raises:
            LeaseLost: it changed hands.
        """
        row = await transaction.fetch_one(_EPOCH, name=self.name)
        if row is None or tuple(row) != (self.owner, self.epoch):
            raise LeaseLost(self.name)


async def acquire(database: Database, name: str, owner: str, seconds: float, clock: Clock) -> Lease | None:
    """Take or renew the lease `name`; None when another owner holds it.

    Args:
        owner: unique to the process (a restarted one is another owner).
        seconds: how long it lasts.
    """
    now = clock.now_ms()
    expires = now + int(seconds * 1000)

    async def work(transaction: Transaction) -> Lease | None:
        row = await transaction.fetch_one(_TAKE, name=name, owner=owner, expires=expires, now=now)
        return Lease(name, owner, row[0], expires) if row else None

    return await database.write(work)


async def release(database: Database, lease: Lease) -> None:
    """Give the lease back, so that another worker need not wait for its expiry."""

    async def work(transaction: Transaction) -> None:
        await transaction.execute(_RELEASE, name=lease.name, owner=lease.owner, epoch=lease.epoch)

    await database.write(work)
