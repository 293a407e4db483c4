"""Vendors and networks that go down while they are sent to: every target is accounted for, others go on meanwhile.

What a vendor has got and not answered is of unknown fate. A single push is sent again, and marked so; a broadcast
is not, and ends in a named state on as many devices as a line has with its vendor at most (`accounts.IN_FLIGHT`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from clarion.delivery.states import MessageStatus, Outcome
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.journal import Entry
from tests.faults.accounts import AGAIN, IN_FLIGHT, BackEnd, Ledger, Phone, prepare, traces, until
from tests.faults.load import connected
from tests.faults.simulated import Simulators, Wire, taken, tasks_taken, through
from tests.support.devices import Device, register_many
from tests.support.server import ServerProcess
from tests.support.tenants import make_tenants

pytestmark = [pytest.mark.real_process, pytest.mark.slow]

log = logging.getLogger(__name__)

SICK, WELL = ("fcm", "hms"), "miui"
COUNTS = {"fcm": 1000, "hms": 4000, WELL: 200}
MORE = {"fcm": 1500, "hms": 9000, WELL: 200}
RATES = {"fcm": 400, "hms": 1000}
"""Targets a second, so that a broadcast takes a few seconds wherever it runs."""
SINGLES = 2
"""As many as there is room for at a vendor that holds up a broadcast (`LineLimits.reserved`)."""
ACKED, FAILED = MessageStatus.ACKED, MessageStatus.EXCEPTION


class Scene:
    """A server that sends through vendors that will be sick, through a well one, and over the own link."""

    def __init__(
        self, back_end: BackEnd, ledger: Ledger, sick: Simulators, phones: Sequence[Phone], device: Device
    ) -> None:
        self.ledger = ledger
        self.phones = phones
        self._back_end = back_end
        self._sick = sick
        self._device = device

    async def push(self, name: str, *labels: str) -> list[str]:
        """Push to some phones of each channel; the message keys."""
        keys = []
        for label in labels:
            for phone in [phone for phone in self.phones if phone.channel == label][:SINGLES]:
                keys.append(f"{name}-{phone.token}")
                await self._back_end.push(phone.token, keys[-1], Title="Single")
        return keys

    async def stuck(self, name: str) -> list[str]:
        """Let sick vendors answer nothing, until each has some of the broadcast, and single pushes; their keys."""
        await self._back_end.reached(len(self.phones) // 5)
        since = time.time()
        await self._sick.strike(*(Fault(channel=label, kind=FaultKind.STALL) for label in SICK))
        keys = await self.push(name, *SICK)

        async def there() -> bool:
            entries = await self._sick.journal(since)
            singles = [entry for entry in entries if _is_single(entry)]
            others = {entry.channel for entry in entries if not _is_single(entry)}
            return len(singles) >= len(keys) and others >= set(SICK)

        await until(there)
        return keys

    async def others_go_on(self, name: str) -> None:
        """Devices of the well vendor and of the own link get theirs."""
        keys = await self.push(name, WELL)
        await self._back_end.push(self._device.token, name)
        await self._device.has({name})
        await self.arrived(keys)

    async def arrived(self, keys: Iterable[str]) -> None:
        """Wait until vendors have taken single pushes."""
        wanted = set(keys)

        async def there() -> bool:
            return {key for key, status in self.ledger.statuses().items() if status == ACKED} >= wanted

        await until(there)

    async def unknown(self, keys: Collection[str]) -> None:
        """Wait until the fate of single pushes is unknown."""

        async def there() -> bool:
            said = self.ledger.said()
            return all(any(outcome == Outcome.FATE_UNKNOWN.label for outcome, _ in said[key]) for key in keys)

        await until(there)

    def ended(self) -> int:
        """On how many devices the broadcast ended without having been taken."""
        return sum(standing.ended for standing in self.ledger.standings().values())

    async def swallowed(self, before: int) -> None:
        """Wait until it has ended on more devices than before."""

        async def there() -> bool:
            return self.ended() > before

        await until(there)

    async def over(self) -> None:
        """Wait until nothing of the broadcast is owed any more."""

        async def there() -> bool:
            total, success, _ = await self._back_end.figures()
            assert success <= total
            return total == len(self.phones) + 1 and not self.ledger.parts()

        await until(there)
        await self._device.has({"sale-1"})
        total, success, arrival = await self._back_end.figures()
        assert (success, arrival) == (total - self.ended(), 1)


def _is_single(entry: Entry) -> bool:
    return "Single" in entry.body


def _account(scene: Scene, journal: Sequence[Entry], again: Collection[str]) -> Mapping[str, list[Phone]]:
    """No device has the broadcast twice, and every fate is named; the devices, by channel, on which it is unknown.

    Args:
        scene: when it is over.
        journal: of the sick vendors, in all their lives.
        again: keys of the single pushes that were sent again for sure.
    """
    standings = scene.ledger.standings()
    sick = [phone for phone in scene.phones if phone.channel in SICK]
    sent = taken(entry for entry in journal if not _is_single(entry))
    failed = [phone for phone in scene.phones if standings[phone.number].ended]
    assert [phone for phone in scene.phones if standings[phone.number].taken is standings[phone.number].ended] == []
    assert [phone for phone in sick if sent[phone.address] > 1] == []
    assert [phone for phone in sick if standings[phone.number].taken and not sent[phone.address]] == []
    assert {standings[phone.number].said[-1][0] for phone in failed} == {Outcome.FATE_UNKNOWN.label}
    singles = tasks_taken(filter(_is_single, journal))
    keys, said = scene.ledger.keys_by_task(), scene.ledger.said()
    doubled = {keys[task] for task, count in singles.items() if count > 1}
    assert set(again) <= doubled
    assert [key for key in doubled if not any(AGAIN in detail for _, detail in said[key])] == []
    by_channel = {label: [phone for phone in failed if phone.channel == label] for label in COUNTS}
    log.info("unknown: %s; sent again: %d", {label: len(some) for label, some in by_channel.items()}, len(doubled))
    assert all(by_channel[label] for label in SICK)
    assert not by_channel[WELL]
    return by_channel


def _files(
    sick: Simulators, well: Simulators, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    files = {label: change({**sick.file(label), "rate": RATES[label]}) for label in SICK}
    return {**files, WELL: well.file(WELL)}


async def test_sigkill_of_a_vendor(data_dir: Path, tmp_path: Path) -> None:
    tenants, ledger = make_tenants(data_dir), Ledger(data_dir)
    with Simulators(tmp_path / "sick", *SICK) as sick, Simulators(tmp_path / "well", WELL) as well:
        files = _files(sick, well, dict)
        phones = await asyncio.to_thread(prepare, data_dir, files, COUNTS)
        with ServerProcess(data_dir) as server:
            (identity,) = await register_many(server.api, tenants.app_secret, 1)
            async with connected(server, [identity]) as (device,):
                back_end = BackEnd(server, tenants)
                scene = Scene(back_end, ledger, sick, phones, device)
                await back_end.announce("android")
                stuck = await scene.stuck("stuck")
                journal = await sick.journal()
                sick.kill()
                down = await scene.push("down", *SICK)
                await scene.others_go_on("meanwhile")
                await asyncio.to_thread(sick.start)
                await scene.arrived([*stuck, *down])
                await scene.over()
        journal += await sick.journal()
    failed = _account(scene, journal, stuck)
    assert all(len(failed[label]) <= IN_FLIGHT[label] for label in SICK)
    found = traces(data_dir, [failed[label][0].token for label in SICK])
    assert [each.status_name for each in found] == [FAILED.label] * len(SICK)


async def test_network_that_resets_and_swallows(data_dir: Path, tmp_path: Path) -> None:
    tenants, ledger = make_tenants(data_dir), Ledger(data_dir)
    with Simulators(tmp_path / "simulated", *SICK, WELL) as vendors:
        async with Wire(vendors.address("fcm")) as first, Wire(vendors.address("hms")) as second:
            wires = first, second
            files = _files(vendors, vendors, lambda file: through(file, wires))
            phones = await asyncio.to_thread(prepare, data_dir, files, MORE)
            with ServerProcess(data_dir) as server:
                (identity,) = await register_many(server.api, tenants.app_secret, 1)
                async with connected(server, [identity]) as (device,):
                    back_end = BackEnd(server, tenants)
                    scene = Scene(back_end, ledger, vendors, phones, device)
                    await back_end.announce("android")
                    stuck = await scene.stuck("stuck")
                    await vendors.heal()
                    assert all(wire.reset() for wire in wires)
                    await scene.unknown(stuck)
                    reset = scene.ended()
                    assert ledger.parts("hms"), "the broadcast was over before the cut"
                    for wire in wires:
                        wire.cut()
                    lost = await scene.push("lost", *SICK)
                    await scene.others_go_on("meanwhile")
                    await scene.unknown([key for key in lost if "hms" in key])  # whose calls end first
                    await scene.swallowed(reset)
                    for wire in wires:
                        wire.mend()
                    await scene.arrived([*stuck, *lost])
                    await scene.over()
                assert await asyncio.to_thread(server.terminate) == 0
        journal = await vendors.journal()
    _account(scene, [entry for entry in journal if entry.channel in SICK], stuck)
