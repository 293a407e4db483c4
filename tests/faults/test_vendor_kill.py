"""Sudden and ordered ends of a server that sends through vendors: nobody is left out, what comes twice says so.

At a kill, a line has at most its window of batches with its vendor (`accounts.IN_FLIGHT`): what of that was not
recorded is all that can come twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clarion.delivery.states import MessageStatus
from clarion.simulators.faults import Fault, FaultKind
from tests.faults.accounts import (
    AGAIN,
    IN_FLIGHT,
    SINGLES_IN_FLIGHT,
    TWICE,
    BackEnd,
    Ledger,
    Phone,
    prepare,
    traces,
    until,
)
from tests.faults.load import Load, connected
from tests.faults.simulated import Simulators, taken, tasks_taken
from tests.support.devices import register_many
from tests.support.server import ServerProcess
from tests.support.tenants import make_tenants

pytestmark = [pytest.mark.real_process, pytest.mark.slow]

log = logging.getLogger(__name__)

CHANNELS = ("apns", "fcm", "hms")
RATES = {"apns": 1000, "fcm": 1000, "hms": 4000}
SLOWLY = {"apns": 500, "fcm": 500, "hms": 2000}
"""Targets a second, so that a broadcast takes a few seconds wherever it runs."""
ONLINE = 20
SAMPLE = 60
WAITS = MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE.label


class Cut(NamedTuple):
    """What there was when the server was killed.

    Attributes:
        recorded: numbers of the devices of which it is on disk that their vendor took it.
        sent: how often each vendor's token had been sent a message that its vendor took.
    """

    recorded: frozenset[int]
    sent: Counter[str]

    def in_flight(self, phones: Iterable[Phone]) -> list[Phone]:
        """Those who were sent it, which is not on disk."""
        return [phone for phone in phones if self.sent[phone.address] and phone.number not in self.recorded]


async def _latency(vendors: Simulators, seconds: float) -> None:
    await vendors.strike(
        *(Fault(channel=label, kind=FaultKind.LATENCY, seconds=seconds) for label in vendors.labels)
    )


def _files(vendors: Simulators, rates: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    return {label: {**vendors.file(label), "rate": rate} for label, rate in rates.items()}


async def test_sigkill_during_a_broadcast_through_vendors(data_dir: Path, tmp_path: Path) -> None:
    counts = {"apns": 2500, "fcm": 2500, "hms": 14_000, "link": 1000 - ONLINE}
    tenants, ledger, cuts = make_tenants(data_dir), Ledger(data_dir), []
    with Simulators(tmp_path / "simulated", *CHANNELS) as vendors:
        phones = await asyncio.to_thread(prepare, data_dir, _files(vendors, RATES), counts)
        through = [phone for phone in phones if phone.channel != "link"]
        await _latency(vendors, 0.2)
        with ServerProcess(data_dir) as server:
            back_end = BackEnd(server, tenants)
            identities = await register_many(server.api, tenants.app_secret, ONLINE)
            async with connected(server, identities) as online:
                await back_end.announce("android", "ios")
                for share in (0.2, 0.6):
                    await back_end.reached(int(share * len(through)))
                    server.kill()
                    sent = taken(await vendors.quiet())
                    standings = ledger.standings()
                    cuts.append(Cut(frozenset(n for n, it in standings.items() if it.taken), sent))
                    await asyncio.to_thread(server.start)
                for device in online:
                    await device.has({"sale-1"})
                success = len(through) + ONLINE
                await back_end.reached(success)
                figures = await back_end.figures()
            assert await asyncio.to_thread(server.terminate) == 0
        sent = taken(await vendors.journal())
    assert figures == (len(phones) + ONLINE, success, ONLINE)
    assert ledger.parts() == 0
    _account(ledger, through, cuts, sent)
    _trace(data_dir, phones, identities_tokens=[one.delivery_token for one in identities])


def _account(ledger: Ledger, phones: Sequence[Phone], cuts: Sequence[Cut], sent: Mapping[str, int]) -> None:
    """Everybody has it; whoever has it twice was in flight at a kill, and the trace says so."""
    standings = ledger.standings()
    in_flight = [cut.in_flight(phones) for cut in cuts]
    for some in in_flight:
        by_channel = Counter(phone.channel for phone in some)
        assert all(count <= IN_FLIGHT[channel] for channel, count in by_channel.items()), by_channel
    chances = Counter(phone.number for some in in_flight for phone in some)
    doubles = {phone: sent[phone.address] - 1 for phone in phones if sent[phone.address] > 1}
    log.info("%s in flight at the kills, %d came twice", [len(some) for some in in_flight], sum(doubles.values()))
    assert any(in_flight), "no kill came while anything was under way"
    assert [phone for phone in phones if not sent[phone.address]] == []
    assert [phone for phone in phones if not standings[phone.number].taken] == []
    assert [phone for phone, more in doubles.items() if more > chances[phone.number]] == []
    assert [phone for phone in doubles if not standings[phone.number].told_twice] == []
    for cut in cuts:
        assert [it for it in phones if it.number in cut.recorded and sent[it.address] != cut.sent[it.address]] == []


def _trace(data_dir: Path, phones: Sequence[Phone], identities_tokens: Sequence[str]) -> None:
    sample = random.Random(5).sample(phones, SAMPLE)
    found = traces(data_dir, [*(phone.token for phone in sample), *identities_tokens])
    expected = [WAITS if phone.channel == "link" else MessageStatus.ACKED.label for phone in sample]
    assert [each.status_name for each in found] == expected + [MessageStatus.ACKED.label] * len(identities_tokens)


async def test_sigterm_during_a_broadcast_through_vendors(data_dir: Path, tmp_path: Path) -> None:
    counts = {"apns": 2000, "fcm": 2000, "hms": 8000}
    tenants, ledger = make_tenants(data_dir), Ledger(data_dir)
    with Simulators(tmp_path / "simulated", *CHANNELS) as vendors:
        phones = await asyncio.to_thread(prepare, data_dir, _files(vendors, SLOWLY), counts)
        await _latency(vendors, 0.3)
        with ServerProcess(data_dir) as server:
            back_end = BackEnd(server, tenants)
            await back_end.announce("android", "ios")
            await back_end.reached(len(phones) // 4)
            assert await asyncio.to_thread(server.terminate) == 0
            sent = taken(await vendors.quiet())
            standings = ledger.standings()
            assert 0 < len(sent) < len(phones), "it was over before the end"
            assert [it for it in phones if sent[it.address] and not standings[it.number].taken] == []
            await asyncio.to_thread(server.start)
            await back_end.reached(len(phones))
            assert await back_end.figures() == (len(phones), len(phones), 0)
        sent = taken(await vendors.journal())
    assert sent == Counter(phone.address for phone in phones)
    assert ledger.parts() == 0
    standings = ledger.standings()
    assert [it for it in phones if not standings[it.number].taken or standings[it.number].told_twice] == []


async def test_sigterm_while_vendors_are_silent(data_dir: Path, tmp_path: Path) -> None:
    tenants, ledger = make_tenants(data_dir), Ledger(data_dir)
    with Simulators(tmp_path / "simulated", "fcm", "hms") as vendors:
        files = {label: vendors.file(label) for label in vendors.labels}
        phones = await asyncio.to_thread(prepare, data_dir, files, {"fcm": 200, "hms": 300})
        await vendors.strike(*(Fault(channel=label, kind=FaultKind.STALL, path="send") for label in vendors.labels))
        with ServerProcess(data_dir, drain_seconds=1) as server:
            back_end = BackEnd(server, tenants)
            singles = [next(phone for phone in phones if phone.channel == label) for label in vendors.labels]
            for phone in singles:
                await back_end.push(phone.token, phone.token)
            await back_end.announce("android")

            async def all_sent() -> bool:
                return taken(await vendors.journal()).total() == len(phones) + len(singles)

            await until(all_sent)
            assert await asyncio.to_thread(server.terminate) == 0
            await vendors.heal()
            await asyncio.to_thread(server.start)
            await until(lambda: _all_taken(ledger))
            assert await asyncio.to_thread(server.terminate) == 0
        sent = taken(await vendors.journal())
    assert ledger.parts() == 0
    assert sent == Counter(phone.address for phone in [*phones, *singles, *singles])
    assert {tuple(outcome for outcome, _ in it.said) for it in ledger.standings().values()} == {("fate_unknown",)}
    said = ledger.said()
    assert [[outcome for outcome, _ in said[it.token]] for it in singles] == [["fate_unknown", "taken"]] * 2
    assert all(AGAIN in said[phone.token][0][1] for phone in singles)


async def test_sigkill_loses_no_single_push_through_a_vendor(data_dir: Path, tmp_path: Path) -> None:
    tenants, ledger, kills = make_tenants(data_dir), Ledger(data_dir), 2
    moments = random.Random(20261123)
    in_flight: list[Collection[int]] = []
    recorded: list[Mapping[int, int]] = []
    with Simulators(tmp_path / "simulated", "fcm", "hms") as vendors:
        files = {label: vendors.file(label) for label in vendors.labels}
        phones = await asyncio.to_thread(prepare, data_dir, files, {"fcm": 12, "hms": 12})
        await _latency(vendors, 0.1)
        with ServerProcess(data_dir) as server:
            load = Load(server, tenants, [phone.token for phone in phones])
            async with load.running() as account:
                for _ in range(kills):
                    await load.accepted(250 + moments.randrange(100))
                    server.kill()
                    sent, on_disk = tasks_taken(await vendors.quiet()), _taken_tasks(ledger)
                    in_flight.append(sent.keys() - on_disk)
                    recorded.append({task: sent[task] for task in on_disk})
                    await asyncio.to_thread(server.start)
                await load.accepted(150)
            await until(lambda: _all_taken(ledger))
            assert await asyncio.to_thread(server.terminate) == 0
        sent = tasks_taken(await vendors.journal())
    keys, said = ledger.keys_by_task(), ledger.said()
    tasks = {key: task for task, key in keys.items()}
    doubles = {task: count - 1 for task, count in sent.items() if count > 1}
    log.info("%s in flight at the kills, %d came twice", list(map(len, in_flight)), sum(doubles.values()))
    assert account.unanswered > 0
    assert account.refused == []
    assert any(in_flight), "no kill came while anything was under way"
    assert max(map(len, in_flight)) <= sum(SINGLES_IN_FLIGHT[label] for label in vendors.labels)
    assert [key for answered in account.accepted.values() for key in answered if not sent[tasks[key]]] == []
    assert all(more <= sum(task in some for some in in_flight) for task, more in doubles.items())
    assert all(any(TWICE in detail for _, detail in said[keys[task]]) for task in doubles)
    assert all(sent[task] == count for taken_then in recorded for task, count in taken_then.items())


def _taken_tasks(ledger: Ledger) -> set[int]:
    acked = int(MessageStatus.ACKED)
    return {task for (task,) in ledger.query("SELECT task FROM messages WHERE status = ?", acked)}


async def _all_taken(ledger: Ledger) -> bool:
    return set(ledger.statuses().values()) == {int(MessageStatus.ACKED)}
