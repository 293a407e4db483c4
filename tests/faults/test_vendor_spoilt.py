"""Vendors that say goodbye, refuse, fail, limit, forget who we are, or break off: nothing is sent twice.

What a vendor surely did not process is sent again until it is; what it may have processed ends in a named state.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from clarion.delivery.series import Mark
from clarion.delivery.states import Outcome
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.journal import Entry
from tests.faults.accounts import BackEnd, Ledger, Phone, Standing, prepare, until
from tests.faults.simulated import Simulators, taken
from tests.support.server import ServerProcess
from tests.support.tenants import make_tenants

pytestmark = [pytest.mark.real_process, pytest.mark.slow]

log = logging.getLogger(__name__)

COUNTS = {"apns": 1500, "fcm": 1500, "hms": 6000}
PARTIAL, ILLEGAL = "80100000", 3
_SEND = {"apns": "/3/device/", "fcm": "messages:send", "hms": "messages:send"}


def _fault(channel: str, kind: FaultKind, **more: object) -> Fault:
    return Fault(channel=channel, kind=kind, path=_SEND[channel], **more)  # type: ignore[arg-type]


UNPROCESSED = [
    _fault("apns", FaultKind.GOAWAY, every=300),
    _fault("apns", FaultKind.REFUSED_STREAM, every=50),
    _fault("apns", FaultKind.STATUS, status=503, body='{"reason":"ServiceUnavailable"}', skip=400, count=40),
    _fault("apns", FaultKind.EXPIRED_AUTH, skip=700, count=1),
    _fault("apns", FaultKind.STATUS, status=429, retry_after=1, skip=1000, count=3),
    _fault("fcm", FaultKind.GOAWAY, every=300),
    _fault("fcm", FaultKind.REFUSED_STREAM, every=50),
    _fault("fcm", FaultKind.STATUS, status=500, skip=200, count=40),
    _fault("fcm", FaultKind.EXPIRED_AUTH, skip=600, count=1),
    _fault("fcm", FaultKind.STATUS, status=429, retry_after=1, skip=1000, count=3),
    _fault("hms", FaultKind.EXPIRED_AUTH, skip=1, count=1),
    _fault("hms", FaultKind.STATUS, status=503, retry_after=1, skip=2, count=2),
    _fault("hms", FaultKind.STATUS, status=429, retry_after=1, skip=5, count=1),
]
"""Nothing of this is processed by the vendor; of a goodbye, what came after it."""

UNKNOWN = [
    _fault("apns", FaultKind.RESET, skip=700, count=1),
    _fault("fcm", FaultKind.HALF, skip=400, count=1),
    _fault("fcm", FaultKind.GARBAGE, skip=900, count=20),
    _fault("hms", FaultKind.HALF, skip=1, count=1),
    _fault("hms", FaultKind.RESET, skip=3, count=1),
]
"""All of this is processed by the vendor, and the sender does not hear of it."""


class _Over:
    """What there is when a broadcast to phones is over, as long as faults were set."""

    def __init__(
        self, phones: Sequence[Phone], standings: Mapping[int, Standing], journal: Sequence[Entry]
    ) -> None:
        self.phones = phones
        self.standings = standings
        self.journal = journal

    def of(self, phone: Phone) -> Standing:
        return self.standings[phone.number]


async def _broadcast(data_dir: Path, tmp_path: Path, faults: Iterable[Fault], illegal: int = 0) -> _Over:
    """Send a broadcast to phones of three vendors; the tokens of the first `illegal` of Huawei are nobody's."""
    tenants, ledger = make_tenants(data_dir), Ledger(data_dir)
    with Simulators(tmp_path / "simulated", *COUNTS) as vendors:
        files = {label: vendors.file(label) for label in COUNTS}
        phones = await asyncio.to_thread(prepare, data_dir, files, COUNTS)
        wrong = [phone for phone in phones if phone.channel == "hms"][:illegal]
        nobody = [_fault("hms", FaultKind.CODE, code=PARTIAL, token=phone.address) for phone in wrong]
        await vendors.strike(*faults, *nobody)
        with ServerProcess(data_dir) as server:
            back_end = BackEnd(server, tenants)
            await back_end.announce("android", "ios")

            async def there() -> bool:
                return (await back_end.figures())[0] == len(phones) and not ledger.parts()

            await until(there)
            figures = await back_end.figures()
            assert await asyncio.to_thread(server.terminate) == 0
        journal = await vendors.journal()
    over = _Over(phones, ledger.standings(), journal)
    assert figures == (len(phones), sum(over.of(phone).taken for phone in phones), 0)
    log.info("%s", Counter((entry.channel, entry.outcome) for entry in journal))
    return over


async def test_what_was_not_processed_is_sent_again_and_never_twice(data_dir: Path, tmp_path: Path) -> None:
    over = await _broadcast(data_dir, tmp_path, UNPROCESSED, ILLEGAL)
    phones = over.phones
    wrong = [phone for phone in phones if phone.channel == "hms"][:ILLEGAL]
    good = [phone for phone in phones if phone not in wrong]
    partly = Counter(token for entry in over.journal if entry.outcome == PARTIAL for token in entry.tokens)
    assert taken(over.journal) + partly == Counter(phone.address for phone in phones)
    assert [phone for phone in good if not over.of(phone).taken] == []
    assert [over.of(phone).said[-1][0] for phone in wrong] == [Outcome.INVALID_TOKEN.label] * ILLEGAL
    assert not any(Mark.VENDOR in over.of(phone).marks for phone in wrong)  # the own link's, now
    outcomes = {(entry.channel, entry.outcome) for entry in over.journal}
    assert outcomes >= {
        ("apns", "status 503"),
        ("apns", "status 429"),
        ("apns", "ExpiredProviderToken"),
        ("fcm", "status 500"),
        ("fcm", "status 429"),
        ("fcm", "UNAUTHENTICATED"),
        ("hms", "status 503"),
        ("hms", "status 429"),
        ("hms", "80200003"),
        ("hms", PARTIAL),
    }


async def test_what_may_have_been_processed_is_not_sent_again(data_dir: Path, tmp_path: Path) -> None:
    over = await _broadcast(data_dir, tmp_path, UNKNOWN)
    failed = [phone for phone in over.phones if over.of(phone).ended]
    sent = taken(over.journal)
    assert [phone for phone in over.phones if over.of(phone).taken is over.of(phone).ended] == []
    assert [phone for phone in over.phones if sent[phone.address] > 1] == []
    assert [phone for phone in over.phones if over.of(phone).taken and not sent[phone.address]] == []
    assert {phone.channel for phone in failed} == set(COUNTS)
    assert {over.of(phone).said[-1][0] for phone in failed} == {Outcome.FATE_UNKNOWN.label}
