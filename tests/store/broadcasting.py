"""Broadcasts for the tests: a template, many devices at once, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from clarion.channels.registry import Platform
from clarion.delivery.broadcasts.model import Standing
from clarion.delivery.broadcasts.pages import Page
from clarion.delivery.broadcasts.planner import Planner
from clarion.delivery.series import Mark
from clarion.pushes.model import BroadcastForm
from clarion.store.database import Transaction
from clarion.store.queries import Insert
from clarion.store.schema import devices
from clarion.templates.model import TemplateText
from tests.store.system import System

_INSERT = Insert(
    devices, ("device", "app", "token", "platform", "user_id", "bound_at", "unbound_at", "created_at", "updated_at")
)


async def crowd(
    system: System,
    count: int,
    *,
    users: bool = True,
    platform: Platform = Platform.ANDROID,
    standing: Standing | None = None,
) -> list[int]:
    """Registered devices in bulk, each with a user of its own, or all with `standing`; their numbers."""
    now = system.clock.now_ms()
    numbers = [system.ids.next() for _ in range(count)]
    rows = []
    for number in numbers:
        one = standing or (Standing(f"user-{number}", now, None) if users else Standing(None, None, None))
        rows.append((number, system.app.key, f"token-{number}", platform.label, *one, now, now))

    async def work(transaction: Transaction) -> None:
        await transaction.insert(_INSERT, rows)

    await system.database.write(work)
    return numbers


async def announce(system: System, key: str = "sale", seconds: int = 3600, **fields: Any) -> int:
    """Push a broadcast to logged-in Android devices (`fields` may say otherwise); its task."""
    return int(await push_broadcast(system, key, seconds, **fields))


async def push_broadcast(system: System, key: str = "sale", seconds: int = 3600, **fields: Any) -> str:
    """As `announce`, at once or later; what the API answers as Data."""
    if await system.templates.find(system.app.key, "sale") is None:
        await system.templates.create(system.app.key, "sale", "the sale", TemplateText("Sale", "Today only"))
    form = BroadcastForm(
        **{
            "app_id": "app",
            "workspace_id": "ws",
            "task_name": "autumn",
            "delivery_type": 1,
            "expired_seconds": str(seconds),
            "template_name": "sale",
            "msgkey": key,
            **fields,
        }
    )
    receipt = await system.pushes.push_broadcast(form, "REQUEST")
    assert receipt.data is not None
    return receipt.data


def planner(system: System) -> Planner:
    """Writes single pages, with nothing after their commit: as if the process ended there."""
    return Planner(system.database, system.writer, system.ledger, system.clock, system.channels, system.ids)


async def pages(system: System, task: int) -> list[Page]:
    """The pages of a broadcast."""
    rows = await system.rows(
        "SELECT first, last, at, devices, marks, times, routes FROM broadcast_pages "
        "WHERE task = :task ORDER BY first",
        task=task,
    )
    return [Page(*row) for row in rows]


def marks_of(page: Page, device: int) -> Mark | None:
    """The marks of a device in a page, or None when it is not there."""
    index = page.index(device)
    return None if index is None else Mark(page.marks[index])


async def planned(system: System, task: int) -> list[int]:
    """Devices in the pages of a broadcast, in order."""
    return [device for page in await pages(system, task) for device in page.devices]


async def arrived(system: System, task: int) -> list[int]:
    """Devices that are known to have it: in pages, then those that joined."""
    found = [
        d for p in await pages(system, task) for d, m in zip(p.devices, p.marks, strict=True) if m & Mark.ARRIVED
    ]
    joins = await system.rows("SELECT device FROM broadcast_joins WHERE task = :task ORDER BY device", task=task)
    return found + [device for (device,) in joins]


async def figures(system: System, task: int) -> Sequence[int]:
    """Total, success, arrival, opened, ignored of a task; the day has the same."""
    columns = ", ".join(
        f"coalesce(sum({name}), 0)" for name in ("total", "success", "arrival", "opened", "ignored")
    )
    rows = await system.rows(f"SELECT {columns} FROM task_counters WHERE task = :task", task=task)
    return tuple(map(int, rows[0]))


async def day_figures(system: System) -> Sequence[int]:
    """The same sums of all days."""
    columns = ", ".join(
        f"coalesce(sum({name}), 0)" for name in ("total", "success", "arrival", "opened", "ignored")
    )
    return tuple(map(int, (await system.rows(f"SELECT {columns} FROM day_counters"))[0]))


async def acknowledge(system: System, task: int, numbers: Sequence[int]) -> None:
    """Acks of some devices, as the link passes them on."""
    futures = [system.inbox.acked(device, [task]) for device in numbers]
    for future in futures:
        await future


async def frames(system: System, device: int) -> list[tuple[str, int]]:
    """Type and id of each frame that a device is owed."""
    owed = await system.inbox.owed(device, 0, 100)
    return [(json.loads(entry.frame)["type"], entry.message) for entry in owed]
