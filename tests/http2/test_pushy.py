"""The APNs channel against Pushy's mock of APNs (Java, Netty), which checks what Apple checks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from clarion.channels.apns import ApnsChannel, open_channel, parse
from clarion.channels.apns.credentials import ProviderTokens, load_key
from clarion.channels.apns.errors import outcome
from clarion.channels.apns.payload import id_header, notification_id
from clarion.channels.base import Accepted, ConfigError, InvalidToken, PayloadError
from clarion.channels.message import PushContent
from clarion.clock import SystemClock
from clarion.http2.headers import HeaderSet
from clarion.http2.pool import Request
from tests.channels.apns.harness import key_pem, settings_file
from tests.channels.host import envelope
from tests.http2.conftest import installed
from tests.http2.processes import Server, child
from tests.support.server import free_address
from tests.unit.http2.server import HOST, certificate

pytestmark = pytest.mark.timeout(300)

JAVA = Path(__file__).with_name("java")
TOPIC, TEAM, KEY = "com.example.app", "TEAM000001", "KEY0000001"
DEVICES, SINCE = 300, 1_700_000_000_123
EXPIRED = "ee" * 32
MAVEN_SECONDS = 200
CLOCK = SystemClock()
Open = Callable[..., AbstractAsyncContextManager[ApnsChannel]]


@pytest.fixture(scope="module")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where Pushy is; the test is skipped if it cannot be had."""
    maven, _ = installed("mvn"), installed("java")
    folder = tmp_path_factory.mktemp("pushy")
    shutil.copy(JAVA / "pom.xml", folder)
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
    command = [maven, "--quiet", "--batch-mode", goal, "-Dmdep.outputFile=class-path"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=MAVEN_SECONDS)
    if done.returncode != 0:
        pytest.skip("maven cannot get com.eatthepath:pushy")
    return (folder / "class-path").read_text()


@pytest.fixture(scope="module")
def mock(class_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mock")
    certificate(folder)
    public = load_pem_private_key(key_pem().encode(), None).public_key()
    (folder / "public.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    port = free_address().port
    command = [
        "java", "-Xmx256m", "-cp", class_path, str(JAVA / "MockApns.java"),
        str(port), TOPIC, TEAM, KEY, str(DEVICES), EXPIRED, str(SINCE),
    ]  # fmt: skip
    with child(command, port, folder, stdin=subprocess.PIPE) as server:
        yield server


@pytest.fixture
def channel(mock: Server) -> Open:
    """Opens the channel with changes to its file."""

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncIterator[ApnsChannel]:
        address = {"baseUrl": f"https://{HOST}:{mock.port}", "caFile": str(mock.folder / "cert.pem")}
        made = open_channel(parse(settings_file(**{**address, **changes})), CLOCK)
        try:
            yield made
        finally:
            await made.close()

    return opened


async def test_many_notifications_are_taken(channel: Open) -> None:
    sent = [envelope(f"{number:064x}", CLOCK.now_ms(), device=number) for number in range(DEVICES)]
    async with channel() as apns:
        outcomes = await apns.send(sent)
        assert (await apns.check()).ok
    assert outcomes == [Accepted(notification_id(one.message, one.device)) for one in sent]


async def test_what_apple_refuses(channel: Open) -> None:
    tokens = ["0" * 64, EXPIRED, "ab" * 32, "12"]
    async with channel() as apns:
        taken, expired, foreign, bad = await apns.send([envelope(token, CLOCK.now_ms()) for token in tokens])
    assert isinstance(taken, Accepted)
    assert isinstance(expired, InvalidToken)
    assert (expired.since, expired.code) == (SINCE, "Unregistered")
    assert isinstance(foreign, InvalidToken)
    assert foreign.code == "DeviceTokenNotForTopic"
    assert isinstance(bad, InvalidToken)
    assert bad.code == "BadDeviceToken"


async def test_a_topic_that_is_not_the_key_s(channel: Open) -> None:
    async with channel(bundleId=f"{TOPIC}.forbidden") as apns:
        outcomes = await apns.send([envelope("0" * 64, CLOCK.now_ms())] * 3)
    assert [one.code for one in outcomes if isinstance(one, ConfigError)] == ["InvalidProviderToken"] * 3


async def test_a_topic_that_is_not_the_device_s(channel: Open) -> None:
    async with channel(bundleId="com.example.other") as apns:
        outcomes = await apns.send([envelope("0" * 64, CLOCK.now_ms())] * 3)
    assert [one.code for one in outcomes if isinstance(one, InvalidToken)] == ["DeviceTokenNotForTopic"] * 3


@pytest.mark.parametrize("changes", [{"keyId": "KEY0000009"}, {"teamId": "TEAM000009"}])
async def test_a_key_that_is_not_the_team_s(channel: Open, changes: dict[str, str]) -> None:
    async with channel(**changes) as apns:
        outcomes = await apns.send([envelope("0" * 64, CLOCK.now_ms())] * 3)
        assert not (await apns.check()).ok
    assert {one.code for one in outcomes if isinstance(one, ConfigError)} == {"InvalidProviderToken"}


async def test_a_payload_that_is_too_large(mock: Server, channel: Open) -> None:
    """The channel does not even send it; the mock says the same."""
    content = PushContent("Parcel", "x" * 5_000)
    async with channel() as apns:
        (kept,) = await apns.send([envelope("0" * 64, CLOCK.now_ms(), content=content)])
    assert isinstance(kept, PayloadError)
    token = ProviderTokens(load_key(key_pem()), KEY, TEAM, CLOCK).current()
    headers = HeaderSet(f"{HOST}:{mock.port}", [
        (b"authorization", b"bearer " + token.encode()), (b"apns-topic", TOPIC.encode()),
        (b"apns-push-type", b"alert"),
    ])  # fmt: skip
    name = notification_id(1, 1)
    body = b'{"aps":{"alert":"%b"}}' % (b"x" * 5_000)
    async with mock.pool() as pool:
        answer = await pool.send(Request(headers, b"/3/device/" + b"0" * 64, body, id_header(name)))
    refused = outcome(answer, name, CLOCK)
    assert isinstance(refused, PayloadError)
    assert refused.code == kept.code == "PayloadTooLarge"
