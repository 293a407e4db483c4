"""Live activities from the device's report and an SDK's request to Apple's simulator, and back into the trace."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clarion.clock import SystemClock
from clarion.delivery.trace import Trace, trace
from clarion.devices.activities import LIFE_MS, MAX_DEVICES
from clarion.foundation import Foundation, open_foundation
from clarion.link.activities import ActivityRequest, sign_activity
from clarion.settings import Settings
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall
from tests.support.client import Answer, Connection, form, push_parameters, sign
from tests.support.devices import register
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants

pytestmark = pytest.mark.real_process

APP = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
NAMES = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
SECONDS = 20.0
STATE = {"score": "1:0", "minute": 17}


def unique() -> tuple[str, str]:
    """An activity id and a push token."""
    return secrets.token_hex(16).upper(), secrets.token_hex(80)


def body(secret: str, token: str, activity_id: str, push_token: str | None, /, **changes: object) -> dict[str, Any]:
    """A signed report; `changes` are made after signing."""
    now, nonce = SystemClock().now_ms(), secrets.token_hex(16)
    fields = (APP_ID, WORKSPACE_ID, token)
    signature = sign_activity(secret.encode(), *fields, activity_id, push_token, timestamp=now, nonce=nonce)
    request = ActivityRequest(*fields, now, nonce, signature, activity_id=activity_id, push_token=push_token)
    return {**msgspec.to_builtins(request), **changes}


async def tell(connection: Connection, told: dict[str, Any] | bytes) -> Answer:
    data = told if isinstance(told, bytes) else json.dumps(told).encode()
    return await connection.post(data, "/device/activity", content_type="application/json")


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with Hall(labels=["apns"], folder=tmp_path / "credentials") as opened:
        yield opened


class Phone:
    """An iOS device as its back end reported it; it signs with the app secret."""

    def __init__(self, server: ServerProcess, tenants: Tenants) -> None:
        self._server = server
        self._tenants = tenants
        self.token = secrets.token_hex(32)

    async def call(self, action: str, **parameters: object) -> dict[str, Any]:
        async with Connection(self._server.api) as connection:
            answer = await connection.post(form(sign(self._tenants.push, action, {**NAMES, **parameters})))
        assert answer.code == "OK", answer.body
        return answer.json()

    async def tell(self, activity_id: str, push_token: str | None) -> Answer:
        async with Connection(self._server.api) as connection:
            return await tell(connection, body(self._tenants.app_secret, self.token, activity_id, push_token))

    async def push(self, target: str, msg_key: str, kind: int, **fields: object) -> None:
        update = {"ActivityEvent": "update", "ActivityContentState": json.dumps(STATE)}
        await self.call("PushSimple", **push_parameters(target, msg_key, DeliveryType=kind, **update, **fields))


@pytest.fixture
async def phone(server: ServerProcess, tenants: Tenants) -> Phone:
    phone = Phone(server, tenants)
    await phone.call("PushReport", DeliveryToken=phone.token, OsType=2)
    return phone


class Books:
    """What the operator does, without a process for each command."""

    def __init__(self, foundation: Foundation, app: int) -> None:
        self._foundation = foundation
        self._app = app

    async def set_channel(self, hall: Hall) -> None:
        """Set the APNs channel up, at the simulator."""
        file = json.dumps(hall.credentials("apns")).encode()
        await self._foundation.channels.set(self._app, "apns", file)
        await _known()

    async def delete_channel(self) -> None:
        await self._foundation.channels.delete(self._app, "apns")
        await _known()

    async def traced(self, target: str, msg_key: str, outcome: str) -> Trace:
        """The trace, once its last hop has this outcome."""
        database, clock = self._foundation.database, self._foundation.clock
        async with asyncio.timeout(SECONDS):
            while True:
                found = await trace(database, clock, self._app, target, msg_key)
                if found is not None and found.hops[-1].outcome == outcome:
                    return found
                await asyncio.sleep(0.05)


async def _known() -> None:
    """A running server knows changes within a second."""
    await asyncio.sleep(1.0)


@pytest.fixture
async def books(server: ServerProcess) -> AsyncIterator[Books]:
    foundation = await open_foundation(Settings(data_dir=str(server.data_dir)))
    directory = foundation.directory
    await directory.refresh()
    app = await directory.find_app(APP_ID, WORKSPACE_ID)
    assert app is not None
    yield Books(foundation, app.key)
    await foundation.database.close()


async def clarion(server: ServerProcess, *command: str, code: int = 0) -> dict[str, Any]:
    done = await asyncio.to_thread(run_clarion, server.data_dir, *command, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if code == 0 else {"error": done.stderr}


@pytest.fixture
async def apple(books: Books, hall: Hall) -> AsyncIterator[Hall]:
    """The app has the APNs channel, of the simulator."""
    await books.set_channel(hall)
    yield hall
    await books.delete_channel()


async def test_an_update_by_its_token(books: Books, phone: Phone, apple: Hall) -> None:
    _, push_token = unique()
    await phone.push(push_token, "goal", 5, Silent=1)
    found = await books.traced(push_token, "goal", "taken")
    assert (found.status, [hop.outcome for hop in found.hops]) == (2, ["on_disk", "taken"])
    (entry,) = [entry for entry in apple.journal.entries("apns") if entry.path.endswith(push_token)]
    assert {name: entry.headers[name] for name in ("apns-push-type", "apns-topic", "apns-priority")} == {
        "apns-push-type": "liveactivity",
        "apns-topic": "com.example.app.push-type.liveactivity",
        "apns-priority": "5",
    }
    aps = json.loads(entry.body)["aps"]
    assert abs(aps.pop("timestamp") - SystemClock().now_ms() / 1000) < 60
    assert aps == {"event": "update", "content-state": STATE}


async def test_an_end_by_its_id(books: Books, phone: Phone, apple: Hall) -> None:
    activity_id, push_token = unique()
    answer = await phone.tell(activity_id, push_token)
    assert answer.status == 200
    assert abs(answer.json()["expiresAt"] - LIFE_MS - SystemClock().now_ms()) < 60_000
    end = {"ActivityEvent": "end", "DismissalDate": 1_900_000_000}
    await phone.call(
        "PushSimple",
        **push_parameters(activity_id, "over", DeliveryType=6, **end, ActivityContentState=json.dumps(STATE)),
    )
    found = await books.traced(activity_id, "over", "taken")
    assert found.hops[-1].device == phone.token
    (entry,) = [entry for entry in apple.journal.entries("apns") if entry.path.endswith(push_token)]
    aps = json.loads(entry.body)["aps"]
    assert (aps["event"], aps["content-state"], aps["dismissal-date"]) == ("end", STATE, 1_900_000_000)
    assert entry.headers["apns-priority"] == "10"


async def test_a_start(books: Books, phone: Phone, apple: Hall) -> None:
    _, push_token = unique()
    kind = {"attributes-type": "MatchAttributes", "attributes": {"home": "a"}}
    start = {
        "ActivityEvent": "start",
        "ActivityContentState": json.dumps(STATE),
        "ExtendedParams": json.dumps(kind),
    }
    await phone.call("PushSimple", **push_parameters(push_token, "start", DeliveryType=5, **start))
    await books.traced(push_token, "start", "taken")
    (entry,) = [entry for entry in apple.journal.entries("apns") if entry.path.endswith(push_token)]
    aps = json.loads(entry.body)["aps"]
    assert (aps["event"], aps["attributes-type"], aps["attributes"]) == ("start", "MatchAttributes", {"home": "a"})
    assert entry.outcome == "accepted"


async def test_a_report_that_comes_after_the_push(books: Books, phone: Phone, apple: Hall) -> None:
    activity_id, push_token = unique()
    await phone.push(activity_id, "early", 6)
    found = await books.traced(activity_id, "early", "no_activity")
    assert (found.status, found.status_name) == (1, "NoBindInfo")
    assert (await phone.tell(activity_id, push_token)).status == 200
    found = await books.traced(activity_id, "early", "taken")
    assert [hop.outcome for hop in found.hops] == ["on_disk", "vendor_queued", "taken"]
    assert apple.journal.entries("apns")[-1].tokens == [push_token]


async def test_a_channel_that_is_set_up_after_the_push(books: Books, phone: Phone, hall: Hall) -> None:
    _, push_token = unique()
    await phone.push(push_token, "waits", 5)
    await books.traced(push_token, "waits", "no_channel")
    await books.set_channel(hall)
    await books.traced(push_token, "waits", "taken")
    await books.delete_channel()


async def test_an_activity_whose_token_is_dead(books: Books, phone: Phone, apple: Hall) -> None:
    activity_id, push_token = unique()
    await phone.tell(activity_id, push_token)
    apple.faults.set([Fault(channel="apns", kind=FaultKind.CODE, code="Unregistered", count=1)])
    await phone.push(activity_id, "dead", 6)
    found = await books.traced(activity_id, "dead", "invalid_token")
    assert (found.status_name, found.hops[-1].code) == ("Exception", "Unregistered")
    await phone.push(activity_id, "next", 6)
    assert (await books.traced(activity_id, "next", "no_activity")).status_name == "NoBindInfo"


async def test_an_activity_that_has_ended(books: Books, phone: Phone, apple: Hall) -> None:
    activity_id, push_token = unique()
    await phone.tell(activity_id, push_token)
    answer = await phone.tell(activity_id, None)
    assert (answer.status, answer.json()) == (200, {"expiresAt": None})
    await phone.push(activity_id, "late", 6)
    await books.traced(activity_id, "late", "no_activity")
    assert not [entry for entry in apple.journal.entries("apns") if entry.path.endswith(push_token)]


async def test_the_command(server: ServerProcess, books: Books, phone: Phone, apple: Hall) -> None:
    activity_id, push_token = unique()
    command = ("device", "activity", *APP, "--token", phone.token, "--activity-id", activity_id)
    told = await clarion(server, *command, "--push-token", push_token)
    assert told["activityId"] == activity_id
    assert told["expiresAt"] > SystemClock().now_ms()
    await phone.push(activity_id, "told", 6)
    await books.traced(activity_id, "told", "taken")
    assert apple.journal.entries("apns")[-1].tokens == [push_token]
    assert (await clarion(server, *command, "--ended"))["expiresAt"] is None
    await phone.push(activity_id, "over", 6)
    await books.traced(activity_id, "over", "no_activity")


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ((), 2, "--ended"),
        (("--push-token", "ab" * 32, "--ended"), 2, "--ended"),
        (("--push-token", "no"), 2, "--push-token"),
        (("--activity-id", "a b", "--ended"), 2, "--activity-id"),
        (("--token", "unknown", "--ended"), 1, "no device"),
    ],
)
async def test_what_the_command_refuses(
    server: ServerProcess, phone: Phone, options: tuple[str, ...], code: int, word: str
) -> None:
    command = ("device", "activity", *APP, "--token", phone.token, "--activity-id", "A", *options)
    assert word in (await clarion(server, *command, code=code))["error"]


async def test_a_registered_device_signs_with_its_secret(connection: Connection, tenants: Tenants) -> None:
    device = await register(connection, tenants.app_secret)
    told = (device.delivery_token, *unique())
    assert (await tell(connection, body(device.device_secret, *told))).status == 200
    refused = await tell(connection, body(tenants.app_secret, *told))
    assert (refused.status, refused.code) == (403, "SignatureDoesNotMatch")


async def test_a_replay_is_refused(connection: Connection, tenants: Tenants, phone: Phone) -> None:
    told = body(tenants.app_secret, phone.token, *unique())
    assert (await tell(connection, told)).status == 200
    replay = await tell(connection, told)
    assert (replay.status, replay.code) == (403, "NonceUsed")


async def test_too_many_devices(connection: Connection, tenants: Tenants, phone: Phone) -> None:
    activity_id, push_token = unique()
    for _ in range(MAX_DEVICES):
        device = await register(connection, tenants.app_secret)
        told = body(device.device_secret, device.delivery_token, activity_id, push_token)
        assert (await tell(connection, told)).status == 200
    answer = await phone.tell(activity_id, push_token)
    assert (answer.status, answer.code) == (409, "TooManyActivities")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"activityId": "another"}, 403, "SignatureDoesNotMatch"),
        ({"pushToken": "ab"}, 403, "SignatureDoesNotMatch"),
        ({"pushToken": None}, 403, "SignatureDoesNotMatch"),
        ({"appId": "UNKNOWN"}, 404, "UnknownApp"),
        ({"activityId": ""}, 400, "InvalidRequest"),
        ({"activityId": "a\nb"}, 400, "InvalidRequest"),
        ({"activityId": "a" * 129}, 400, "InvalidRequest"),
        ({"pushToken": ""}, 400, "InvalidRequest"),
        ({"pushToken": "xyz"}, 400, "InvalidRequest"),
        ({"pushToken": "ab" * 129}, 400, "InvalidRequest"),
        ({"token": ""}, 400, "InvalidRequest"),
    ],
)
async def test_what_is_refused(
    connection: Connection, tenants: Tenants, phone: Phone, changes: dict[str, object], status: int, code: str
) -> None:
    answer = await tell(connection, body(tenants.app_secret, phone.token, *unique(), **changes))
    assert (answer.status, answer.code) == (status, code)


async def test_without_a_push_token_nothing_is_taken_for_an_end(
    connection: Connection, tenants: Tenants, phone: Phone
) -> None:
    told = body(tenants.app_secret, phone.token, "A", None)
    del told["pushToken"]
    assert (await tell(connection, told)).status == 400


@pytest.mark.parametrize(
    ("told", "status"), [(b"", 400), (b"[]", 400), (b"\xff", 400), (b"[" * 4000, 400), (b" " * 4097, 413)]
)
async def test_what_is_no_report(connection: Connection, told: bytes, status: int) -> None:
    assert (await tell(connection, told)).status == status


async def test_an_unknown_device(connection: Connection, tenants: Tenants) -> None:
    answer = await tell(connection, body(tenants.app_secret, "nobody", *unique()))
    assert (answer.status, answer.code) == (404, "UnknownDevice")
