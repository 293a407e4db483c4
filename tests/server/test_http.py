"""What the API port answers beside the RPC face: health, metrics, device calls, unknown paths."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clarion import __version__
from clarion.clock import SystemClock
from clarion.link.registration import Platform, sign_registration
from tests.sdk.cases import SIMPLE
from tests.support.client import Answer, Connection, form, request_bytes, sign
from tests.support.devices import registration
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Key, Tenants, make_tenants

pytestmark = pytest.mark.real_process

ACTIONS = ("PushSimple", "PushBind", "PushUnBind", "PushReport", "PushQueryDeviceState", "unknown")
OUTCOMES = ("ok", "refused", "denied", "unavailable", "failed")


async def test_health(connection: Connection) -> None:
    health = await connection.request("GET", "/healthz")
    assert (health.status, health.json()) == (200, {"status": "ok", "version": __version__})
    ready = await connection.request("GET", "/readyz")
    assert (ready.status, ready.json()) == (200, {"status": "ok", "faults": {}})


async def test_metrics_exist_before_any_request(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        async with Connection(server.api) as connection:
            answer = await connection.request("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    series = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))
    for action in ACTIONS:
        for outcome in OUTCOMES:
            assert series[f'clarion_requests_total{{action="{action}",outcome="{outcome}"}}'] == "0.0"
        assert series[f'clarion_request_seconds_count{{action="{action}"}}'] == "0.0"
    for name in ('link_messages_total{step="sent"}', "messages_expired_total", "link_connections"):
        assert series[f"clarion_{name}"] == "0.0"


async def test_metrics_count(connection: Connection, tenants: Tenants) -> None:
    async def count(outcome: str) -> float:
        text = (await connection.request("GET", "/metrics")).body.decode()
        found = re.search(rf'clarion_requests_total{{action="PushSimple",outcome="{outcome}"}} (\S+)', text)
        assert found
        return float(found[1])

    before = [await count(outcome) for outcome in ("ok", "refused", "denied")]
    for key, changes in ((tenants.push, {}), (tenants.push, {"Title": ""}), (tenants.read, {})):
        await connection.post(form(sign(key, "PushSimple", {**SIMPLE, **changes})))
    after = [await count(outcome) for outcome in ("ok", "refused", "denied")]
    assert after == [number + 1 for number in before]


@pytest.mark.parametrize("path", ["/nothing", "/device/nothing", "/link", "/console", "//", "/%2e%2e", "/healthz/"])
async def test_unknown_path(connection: Connection, path: str) -> None:
    answer = await connection.request("GET", path)
    assert (answer.status, answer.code) == (404, "NotFound")
    assert answer.json()["message"]


async def test_device_link(connection: Connection, server: ServerProcess) -> None:
    answer = await connection.request("GET", "/device/link")
    assert (answer.status, answer.json()) == (200, {"link": server.link_url})
    assert (await connection.post(b"x", "/device/link")).status == 405


async def _register(connection: Connection, body: dict[str, Any] | bytes) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await connection.post(data, "/device/register", content_type="application/json")


async def test_registration(connection: Connection, server: ServerProcess, tenants: Tenants) -> None:
    request = registration(tenants.app_secret)
    answer = await _register(connection, request)
    assert answer.status == 200
    made = answer.json()
    assert re.fullmatch("[0-9a-f]{40}", made["deliveryToken"])
    assert re.fullmatch("[0-9a-f]{64}", made["deviceSecret"])
    assert made["link"] == server.link_url
    replay = await _register(connection, request)
    assert (replay.status, replay.code) == (403, "NonceUsed")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"platform": "ios"}, 403, "SignatureDoesNotMatch"),
        ({"appId": "UNKNOWN"}, 404, "UnknownApp"),
        ({"platform": "amiga"}, 400, "InvalidRequest"),
        ({"timestamp": "now"}, 400, "InvalidRequest"),
        ({"nonce": "short"}, 400, "InvalidRequest"),
        ({"signature": "é" * 64}, 403, "SignatureDoesNotMatch"),
    ],
)
async def test_registration_is_refused(
    connection: Connection, tenants: Tenants, changes: dict[str, object], status: int, code: str
) -> None:
    answer = await _register(connection, registration(tenants.app_secret, **changes))
    assert (answer.status, answer.code) == (status, code)


async def test_stale_registration_is_refused(connection: Connection, tenants: Tenants) -> None:
    then = SystemClock().now_ms() - 16 * 60 * 1000
    signature = sign_registration(
        tenants.app_secret.encode(), APP_ID, WORKSPACE_ID, Platform.ANDROID, timestamp=then, nonce="12345678"
    )
    request = registration(tenants.app_secret, timestamp=then, nonce="12345678", signature=signature)
    answer = await _register(connection, request)
    assert (answer.status, answer.code) == (403, "TimestampExpired")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"appId":"\\ud800"}',
        b"[" * 10_000,
        b'{"appId":"\xff"}',
        b'{"a":' + b"[" * 10_000,
    ],
    ids=["empty", "open", "array", "null", "bytes", "surrogate", "deep", "bytes in a text", "deep in an unknown"],
)
async def test_registration_that_is_no_json(connection: Connection, body: bytes) -> None:
    answer = await _register(connection, body)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


async def test_registration_that_is_too_large(connection: Connection) -> None:
    answer = await _register(connection, b" " * 20_000)
    assert (answer.status, answer.code) == (413, "BodyTooLarge")


async def test_changes_are_known_within_a_second(
    server: ServerProcess, server_data_dir: Path, tenants: Tenants
) -> None:
    async def clarion(*arguments: str) -> Any:
        done = await asyncio.to_thread(run_clarion, server_data_dir, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    async def code(key: Key) -> str:
        push = {**SIMPLE, "AppId": "LATER", "WorkspaceId": "w"}
        async with Connection(server.api) as connection:
            return (await connection.post(form(sign(key, "PushSimple", push)))).code

    async def soon(key: Key, wanted: str) -> None:
        async with asyncio.timeout(2):  # the promised second, and one for a busy machine
            while await code(key) != wanted:  # noqa: ASYNC110 - the promise is about what a client sees
                await asyncio.sleep(0.05)

    assert await code(tenants.push) == "3007"
    await clarion("app", "create", "--app-id", "LATER", "--workspace-id", "w")
    await soon(tenants.push, "OK")
    made = await clarion("key", "create", "--role", "push")
    key = Key(made["accessKeyId"], made["accessKeySecret"])
    await soon(key, "OK")
    await clarion("key", "disable", key.key_id)
    await soon(key, "InvalidAccessKeyId.Inactive")


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing", "/device/link"])
async def test_answer_to_head_has_no_body(server: ServerProcess, connection: Connection, path: str) -> None:
    await connection.send(request_bytes(server.api, "HEAD", path))
    head = await connection.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    if b"connection: close" in head:
        assert await connection.closed() == b""
    else:
        assert (await connection.request("GET", "/healthz")).status == 200


async def test_a_stop_forgets_no_nonce(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir) as server:
        async with Connection(server.api) as connection:
            query = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID, "Target": "u", "TargetType": "2"}
            body = form(sign(tenants.read, "PushQueryDeviceState", query))
            assert (await connection.post(body)).code == "100"
        assert await asyncio.to_thread(server.terminate) == 0
    with closing(sqlite3.connect(data_dir / "clarion.db")) as database:
        assert database.execute("SELECT sum(length(hashes)) FROM nonces").fetchone() == (8,)


async def test_log_is_json_without_secrets_or_texts(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    tenants = make_tenants(data_dir)
    title, content, user = "titel-in-keinem-log", "inhalt-in-keinem-log", "user-in-keinem-log"
    push = {**SIMPLE, "Title": title, "Content": content}
    with ServerProcess(data_dir) as server:
        async with Connection(server.api) as connection:
            device = (await _register(connection, registration(tenants.app_secret))).json()
            answers = [
                await connection.post(form(sign(key, "PushSimple", {**push, **changes}, **common)))
                for key, changes, common in (
                    (tenants.push, {}, {}),
                    (tenants.push, {"TargetMsgkey": json.dumps({user: "k"}), "DeliveryType": 3}, {}),
                    (tenants.push, {"Content": content + "x" * 3000}, {}),
                    (Key(tenants.push.key_id, "wrong"), {}, {}),
                    (tenants.push, {}, {"Version": "1"}),
                )
            ]
            assert (await connection.request("GET", "/broken", b"")).status == 404
            bad = await _register(connection, registration(tenants.app_secret, signature="0" * 64))
            assert bad.status == 403
        async with Connection(server.api) as rude:
            await rude.send(b"no http\r\n\r\n")
            await rude.closed()
        assert await asyncio.to_thread(server.terminate) == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert all({"event", "at", "level"} <= line.keys() for line in lines)
    logged = {line["request_id"]: line["code"] for line in lines if line["event"] == "request"}
    assert logged == {answer.json()["RequestId"]: answer.code for answer in answers}
    secrets = (tenants.push.secret, tenants.app_secret, device["deviceSecret"], "wrong")
    for text in (title, content, user, *secrets):
        assert text not in server.log
