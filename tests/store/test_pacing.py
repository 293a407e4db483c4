"""Quotas, days and tokens through lines: what survives a restart, what goes over to the own link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from sqlalchemy import text

from clarion.channels.base import Accepted, InvalidToken, RateLimited
from clarion.channels.files import Terms
from clarion.channels.registry import Channel, Platform
from clarion.delivery.accept import LEASE_MS
from clarion.delivery.vendors.lines import LineName
from clarion.delivery.vendors.quota import (
    OWN_LIMIT,
    Asked,
    Notice,
    NoticeKind,
    count_targets,
    note,
    remembered,
    standing,
    vendor_day,
)
from clarion.devices.model import DeviceDetails, VendorToken
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.tenants.channels import ChannelSettingsService
from tests.store.broadcasting import announce, crowd
from tests.store.system import ANDROID, System

HOUR_MS = 3_600_000
IOS = 2


async def phones(system: System, count: int, channel: Channel = Channel.HMS) -> list[str]:
    """Tokens of Android devices that reported a vendor's token."""
    tokens = []
    for _ in range(count):
        _, token = await system.device()
        vendor = VendorToken(channel, f"vendor-{token}")
        await system.devices.report(system.app.key, token, Platform.ANDROID, vendor, DeviceDetails())
        tokens.append(token)
    return tokens


async def pushed(system: System, tokens: Sequence[str], key: str = "key") -> None:
    """Push to all, and wait until every line is idle."""
    for start in range(0, len(tokens), 10):
        await system.push_map(dict.fromkeys(tokens[start : start + 10], key), kind=ANDROID)
    await settled(system)


async def settled(system: System) -> None:
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.004)
        busy = any(line.waiting or line.in_flight for line in system.lines._lines.values())
        quiet = 0 if busy else quiet + 1
    await system.writer.drain()


async def owed(system: System) -> dict[str, int]:
    """How many deliveries are owed, by channel."""
    return {
        str(row[0]): int(row[1]) for row in await system.rows("SELECT channel, count(*) FROM deliveries GROUP BY 1")
    }


async def tokens_left(system: System) -> int:
    return int((await system.rows("SELECT count(*) FROM devices WHERE vendor_token IS NOT NULL"))[0][0])


async def last_outcomes(system: System, tokens: Sequence[str], key: str = "key") -> dict[str, int]:
    found: dict[str, int] = {}
    for token in tokens:
        outcome = (await system.steps(token, key))[-1][1]
        found[outcome] = found.get(outcome, 0) + 1
    return found


class TestQuota:
    async def _used_up(self, system: System) -> tuple[int, str]:
        """A channel whose vendor says so: the time of its end; a device."""
        vendor = system.channels.set_up(system.app.key, "hms")
        until = system.clock.now_ms() + 8 * HOUR_MS
        vendor.answer = lambda _: RateLimited(until, "10070", "used up")
        (token,) = await phones(system, 1)
        await pushed(system, [token], "first")
        assert await owed(system) == {"link": 1}
        vendor.answer = lambda envelope: Accepted(f"id-{envelope.message}")
        return until, token

    async def test_while_it_is_gone_the_vendor_is_not_asked_and_the_link_has_it_at_once(
        self, system: System
    ) -> None:
        _, token = await self._used_up(system)
        await pushed(system, [token], "second")
        assert await owed(system) == {"link": 2}
        vendor = system.channels.vendors[LineName(system.app.key, "hms")]
        assert [each.msg_key for each in vendor.sent] == ["first"]
        hop = (await system.trace(token, "second")).hops[-1]
        assert (hop.outcome, hop.code) == ("rate_limited", "10070")
        assert "It was not sent, because this lasts until" in hop.cause
        assert "used up" in hop.cause
        assert "goes over to the device link" in hop.cause

    async def test_a_restart_does_not_forget_it(self, system: System) -> None:
        until, token = await self._used_up(system)
        again = await system.restarted()
        await pushed(again, [token], "second")
        vendor = system.channels.vendors[LineName(system.app.key, "hms")]
        assert [each.msg_key for each in vendor.sent] == ["first"]
        assert await owed(again) == {"link": 2}
        system.clock.advance((until - system.clock.now_ms()) / 1000 + 1)
        await pushed(again, [token], "third")
        assert [each.msg_key for each in vendor.sent] == ["first", "third"]

    async def test_new_settings_are_tried_at_once(self, system: System) -> None:
        _, token = await self._used_up(system)
        vendor = system.channels.set_up(system.app.key, "hms")
        again = await system.restarted()
        await pushed(again, [token], "second")
        assert [each.msg_key for each in vendor.sent] == ["second"]

    async def test_without_the_link_it_waits_for_the_end_or_for_new_settings(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "apns")
        until = system.clock.now_ms() + 8 * HOUR_MS
        vendor.answer = lambda _: RateLimited(until, "429", "used up")
        target = "f" * 64
        await system.devices.report(system.app.key, target, Platform.IOS, None, DeviceDetails())
        for key in ("first", "second"):
            await system.push_map({target: key}, kind=IOS, seconds=24 * 3600)
            await settled(system)
        assert await owed(system) == {"apns": 2}
        system.clock.advance(3600)
        while await system.lines.refill():
            pass
        await settled(system)
        assert [each.msg_key for each in vendor.sent] == ["first"]
        better = system.channels.set_up(system.app.key, "apns")
        await system.lines.refill()  # closes the old line, opens the new one
        await system.lines.refill()
        await settled(system)
        assert sorted(each.msg_key for each in better.sent) == ["first", "second"]
        assert await owed(system) == {}

    async def test_a_pause_of_seconds_is_not_written(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.answer = lambda _: RateLimited(system.clock.now_ms() + 30_000)
        await pushed(system, await phones(system, 1))
        assert await system.count("channel_notices") == 0


class TestDay:
    async def test_the_limit_of_a_day_holds_over_a_restart_and_ends_with_the_day(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        system.channels.limits[LineName(system.app.key, "hms")] = Terms(0.0, 15)
        tokens = await phones(system, 10)
        await pushed(system, tokens, "first")
        assert (len(vendor.sent), await owed(system)) == (10, {})
        again = await system.restarted()
        await pushed(again, tokens, "second")
        assert (len(vendor.sent), await owed(again)) == (15, {"link": 5})
        assert await last_outcomes(again, tokens, "second") == {"taken": 5, "rate_limited": 5}
        codes = {(await again.trace(token, "second")).hops[-1].code for token in tokens}
        assert OWN_LIMIT in codes
        system.clock.advance(24 * 3600)
        await pushed(again, tokens, "third")
        assert len(vendor.sent) == 25

    async def test_what_no_vendor_took_does_not_count(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.answer = lambda envelope: InvalidToken() if envelope.message % 2 else Accepted("id")
        tokens = await phones(system, 20)
        await pushed(system, tokens)
        accepted = 20 - (await owed(system))["link"]
        assert 0 < accepted < 20
        rows = await system.rows("SELECT app, channel, day, targets FROM channel_days")
        assert [tuple(row) for row in rows] == [
            (system.app.key, "hms", vendor_day(system.clock.now_ms()), accepted)
        ]


class TestTokens:
    async def test_when_too_many_are_refused_they_are_kept_and_deliveries_go_on_as_before(
        self, system: System
    ) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.answer = lambda _: InvalidToken(code="80300007", text="all tokens invalid")
        tokens = await phones(system, 60)
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        await pushed(system, tokens)
        system.clock.advance(LEASE_MS / 1000 + 1)
        await system.lines.refill()  # one batch of them all
        await settled(system)
        assert len(vendor.sent) == 60
        assert await tokens_left(system) == 60
        assert await owed(system) == {"link": 60}
        assert await last_outcomes(system, tokens) == {"token_kept": 60}
        hop = (await system.trace(tokens[0])).hops[-1]
        assert hop.code == "80300007"
        assert "it was kept" in hop.cause
        assert "goes over to the device link" in hop.cause

    async def test_the_guard_opens_when_all_was_well_for_a_minute(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.answer = lambda _: InvalidToken()
        tokens = await phones(system, 70)
        await pushed(system, tokens)  # ten at a time: those before the fiftieth are lost
        assert 20 <= await tokens_left(system) <= 30
        kept = tokens[-1]
        assert (await system.steps(kept))[-1] == ("sent", "token_kept")
        system.clock.advance(121)
        await pushed(system, [kept], "later")
        assert (await system.steps(kept, "later"))[-1] == ("sent", "invalid_token")

    async def test_a_token_that_was_reported_again_at_the_vendor_s_time_is_kept(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        (token,) = await phones(system, 1)
        reported = system.clock.now_ms()
        system.clock.advance(10)
        vendor.answer = lambda _: InvalidToken(since=reported)
        await pushed(system, [token], "first")
        assert await tokens_left(system) == 1
        assert (await system.steps(token, "first"))[-1] == ("sent", "token_kept")
        vendor.answer = lambda _: InvalidToken(since=reported + 1)
        await pushed(system, [token], "second")
        assert await tokens_left(system) == 0
        assert (await system.steps(token, "second"))[-1] == ("sent", "invalid_token")

    async def test_of_two_messages_that_met_a_dead_token_each_says_so(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.gate.clear()
        (token,) = await phones(system, 1)
        for key in ("first", "second"):
            await system.push_map({token: key}, kind=ANDROID)
        vendor.answer = lambda _: InvalidToken()
        vendor.gate.set()
        await settled(system)
        assert len(vendor.sent) == 2
        assert [(await system.steps(token, key))[-1][1] for key in ("first", "second")] == ["invalid_token"] * 2

    async def test_other_channels_and_apps_have_guards_of_their_own(self, system: System) -> None:
        for label in ("hms", "miui"):
            system.channels.set_up(system.app.key, label).answer = lambda _: InvalidToken()
        await pushed(system, await phones(system, 60))
        (other,) = await phones(system, 1, Channel.MIUI)
        await pushed(system, [other])
        assert (await system.steps(other))[-1] == ("sent", "invalid_token")


class TestNotices:
    async def test_the_newest_of_a_kind_counts_for_the_settings_that_it_is_about(self, system: System) -> None:
        app, now = system.app.key, system.clock.now_ms()
        service = ChannelSettingsService(system.database, system.vault, system.clock)
        file = json.dumps({"packageName": "p", "appSecret": "s"}).encode()
        await service.set(app, "miui", file)
        await system.directory.refresh()
        revision = system.directory.channel_revision(app, "miui")
        assert revision is not None

        def notice(until: int, kind: NoticeKind = NoticeKind.PAUSED) -> Notice:
            return Notice(app, "miui", kind, revision, until, "200001", "used up")

        for until in (now + 5, now + HOUR_MS):
            await system.writer.submit(note, notice(until))
        await asyncio.gather(*(system.writer.submit(note, notice(now + n, NoticeKind.TOKENS_KEPT)) for n in (1, 2)))
        await system.writer.submit(note, notice(now + 1)._replace(revision=revision - 1))  # of a line that closes
        asked = Asked(app, "miui", revision, now)
        assert (await system.writer.submit(remembered, asked)).pause == RateLimited(
            now + HOUR_MS, "200001", "used up"
        )

        async def counted(transaction: Transaction) -> None:
            await count_targets(transaction, [(app, "miui", 3), (app, "hms", 0), (app, "miui", 4)], now)
            await count_targets(transaction, [(app, "miui", 5)], now)

        await system.database.write(counted)
        (entry,) = await service.list(app)
        assert entry.targets == 12
        assert sorted(each.kind.value for each in entry.notices) == ["paused", "tokens_kept"]
        system.clock.advance(1)
        (entry,) = await service.list(app)
        assert [each.until for each in entry.notices] == [now + HOUR_MS]

        await service.set(app, "miui", file)
        (entry,) = await service.list(app)
        assert (entry.notices, entry.targets) == ((), 12)
        known = await system.writer.submit(remembered, asked._replace(revision=revision + 1))
        assert (known.pause, known.targets, known.lifted) == (None, 12, True)
        again = await system.writer.submit(remembered, asked._replace(revision=revision + 1))
        assert not again.lifted

    async def test_days_are_forgotten_in_the_end(self, system: System) -> None:
        app, now = system.app.key, system.clock.now_ms()

        async def counted(transaction: Transaction) -> None:
            for days in (0, 92, 93, 200):
                await count_targets(transaction, [(app, "hms", 1)], now - days * 86_400_000)

        await system.database.write(counted)
        await system.writer.submit(remembered, Asked(app, "hms", 1, now))
        assert await system.count("channel_days") == 2

    async def test_an_app_that_is_deleted_takes_them_with_it(self, system: System) -> None:
        app, now = system.app.key, system.clock.now_ms()
        await system.writer.submit(note, Notice(app, "hms", NoticeKind.PAUSED, 1, now + 5, "", ""))

        async def counted(transaction: Transaction) -> None:
            await count_targets(transaction, [(app, "hms", 1)], now)

        await system.database.write(counted)
        await system.tenants.delete_app("app", "ws")
        assert await system.count("channel_notices") == 0
        assert await system.count("channel_days") == 0

        async def read(transaction: Transaction) -> int:
            return len(await standing(transaction, app, now))

        assert await system.database.read(read) == 0


class TestBroadcasts:
    async def _sent(self, system: System, count: int) -> int:
        """A broadcast to devices of hms, as far as it goes; its task."""
        devices = await crowd(system, count)
        give = Query(text("UPDATE devices SET channel = 'hms', vendor_token = 'of ' || token, vendor_token_at = 1"))

        async def work(transaction: Transaction) -> None:
            await transaction.execute(give)

        await system.database.write(work)
        assert await tokens_left(system) == len(devices)
        task = await announce(system)
        await system.broadcasts.write_pages()
        await self._fed(system)
        return task

    async def _fed(self, system: System) -> None:
        system.parts_due.add(system.app.key, ["hms"])
        while system.parts_due._ways:
            await system.feeder.work()
            await settled(system)

    async def test_a_broadcast_does_not_cost_the_tokens_either(self, system: System) -> None:
        system.channels.set_up(system.app.key, "hms").answer = lambda _: InvalidToken()
        await self._sent(system, 120)
        assert await tokens_left(system) == 120

    async def test_its_targets_count_for_the_day_and_the_rest_goes_to_the_link(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        system.channels.limits[LineName(system.app.key, "hms")] = Terms(0.0, 70)
        task = await self._sent(system, 120)
        assert len(vendor.sent) == 70
        assert [tuple(row) for row in await system.rows("SELECT targets FROM channel_days")] == [(70,)]
        assert await system.rows("SELECT part FROM broadcast_parts WHERE task = :task", task=task) == []

    async def test_what_was_postponed_without_the_link_is_due_again_with_new_settings(self, system: System) -> None:
        until = system.clock.now_ms() + HOUR_MS
        system.channels.has_link = lambda name: False  # type: ignore[method-assign]
        system.channels.set_up(system.app.key, "hms").answer = lambda _: RateLimited(until)
        await self._sent(system, 30)
        due = await system.rows("SELECT next_at FROM broadcast_parts")
        assert due
        assert all(int(row[0]) >= until for row in due)
        better = system.channels.set_up(system.app.key, "hms")
        await system.lines.refill()  # closes the old line, opens the new one
        await self._fed(system)
        assert len(better.sent) == 30
