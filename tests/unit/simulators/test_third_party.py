"""Senders that somebody else wrote talk to the simulators: PyPI's aioapns and Google's firebase-admin."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.unit.simulators.wire import DEVICE

from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall

pytestmark = [
    # They are used as they are published; their own warnings are not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
async def apns(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """aioapns, sending to the simulator instead of Apple."""
    pytest.importorskip("aioapns", reason="the package aioapns is not installed")
    connection = import_module("aioapns.connection")
    where = urlsplit(hall.url("apns"))
    monkeypatch.setattr(connection.APNsProductionClientProtocol, "APNS_SERVER", where.hostname)
    monkeypatch.setattr(connection.APNsProductionClientProtocol, "APNS_PORT", where.port)
    file = hall.credentials("apns")
    sender = import_module("aioapns").APNs(
        key=file["privateKey"],
        key_id=file["keyId"],
        team_id=file["teamId"],
        topic=file["bundleId"],
        ssl_context=ssl.create_default_context(cafile=file["caFile"]),
    )
    yield sender
    for opened in tuple(sender.pool.connections):
        opened.close()
    await asyncio.sleep(0)


def notification(number: int) -> Any:
    aioapns = import_module("aioapns")
    return aioapns.NotificationRequest(
        device_token=f"{number:064x}",
        message={"aps": {"alert": f"Nr. {number}"}},
        time_to_live=60,
        priority=10,
        collapse_key="c",
        push_type=aioapns.PushType.ALERT,
    )


async def test_aioapns(hall: Hall, apns: Any) -> None:
    async with asyncio.timeout(60):
        first = await apns.send_notification(notification(0))
        assert (first.is_successful, first.status) == (True, "200")
        results = await asyncio.gather(*(apns.send_notification(notification(n)) for n in range(1, 200)))
    assert all(result.is_successful for result in results)
    arrived = [entry.tokens[0] for entry in hall.journal.entries("apns")]
    assert sorted(arrived) == [f"{number:064x}" for number in range(200)]


async def test_aioapns_understands_refusals(hall: Hall, apns: Any) -> None:
    device = f"{7:064x}"
    hall.faults.set([Fault(channel="apns", kind=FaultKind.CODE, code="Unregistered", token=device, since=123)])
    async with asyncio.timeout(60):
        gone = await apns.send_notification(notification(7))
        assert (gone.status, gone.description, gone.timestamp) == ("410", "Unregistered", 123)
        request = notification(8)
        request.device_token = DEVICE[:-1]
        bad = await apns.send_notification(request)
    assert (bad.status, bad.description) == ("400", "BadDeviceToken")


@pytest.fixture
async def fcm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[tuple[Hall, Any]]:
    """firebase-admin, sending to the simulator instead of Google; and its host."""
    pytest.importorskip("firebase_admin", reason="the package firebase-admin is not installed")
    firebase = import_module("firebase_admin")
    messaging = import_module("firebase_admin.messaging")
    async with Hall(labels=["fcm"], folder=tmp_path) as hall:
        file = hall.credentials("fcm")
        monkeypatch.setitem(os.environ, "REQUESTS_CA_BUNDLE", file["caFile"])
        monkeypatch.setitem(os.environ, "SSL_CERT_FILE", file["caFile"])
        url = f"{file['baseUrl']}/v1/projects/{{0}}/messages:send"
        monkeypatch.setattr(messaging._MessagingService, "FCM_URL", url)
        certificate = import_module("firebase_admin.credentials").Certificate(file["serviceAccount"])
        app = firebase.initialize_app(certificate, name=str(tmp_path))
        yield hall, app
        # Its connections belong to this loop; the rest it can only close where no loop runs.
        await messaging._get_messaging_service(app)._async_client.aclose()
        await asyncio.to_thread(firebase.delete_app, app)


async def test_firebase_admin(fcm: tuple[Hall, Any]) -> None:
    hall, app = fcm
    messaging = import_module("firebase_admin.messaging")
    message = messaging.Message(
        token="device:1",
        data={"k": "v"},
        notification=messaging.Notification(title="t", body="b", image="https://x/y.png"),
        android=messaging.AndroidConfig(
            collapse_key="c",
            priority="high",
            ttl=300,
            notification=messaging.AndroidNotification(
                color="#aabbcc", channel_id="c", notification_count=1, priority="high", visibility="private"
            ),
        ),
        fcm_options=messaging.FCMOptions(analytics_label="label"),
    )
    name = await asyncio.to_thread(messaging.send, message, app=app)
    assert name.startswith("projects/clarion-simulated/messages/0:")
    # Its other way: over HTTP/2.
    response = await messaging.send_each_async([message] * 20, app=app)
    assert (response.success_count, response.failure_count) == (20, 0)
    assert [entry.outcome for entry in hall.journal.entries("fcm")].count("accepted") == 21
    assert {entry.tokens[0] for entry in hall.journal.entries("fcm") if entry.tokens} == {"device:1"}


async def test_firebase_admin_understands_refusals(fcm: tuple[Hall, Any]) -> None:
    hall, app = fcm
    messaging = import_module("firebase_admin.messaging")
    codes = {
        "UNREGISTERED": messaging.UnregisteredError,
        "SENDER_ID_MISMATCH": messaging.SenderIdMismatchError,
        "QUOTA_EXCEEDED": messaging.QuotaExceededError,
        "THIRD_PARTY_AUTH_ERROR": messaging.ThirdPartyAuthError,
        "INVALID_ARGUMENT": import_module("firebase_admin.exceptions").InvalidArgumentError,
    }
    for code, error in codes.items():
        hall.faults.set([Fault(channel="fcm", kind=FaultKind.CODE, code=code, token=code)])
        with pytest.raises(error):
            await asyncio.to_thread(messaging.send, messaging.Message(token=code), app=app)
