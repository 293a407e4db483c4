"""Callbacks of a real server, killed at the worst moment; the program of the documents; the commands."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clarion.callbacks.caller import HttpCaller
from clarion.callbacks.model import Answer, Destination, trial_batch
from clarion.callbacks.service import CallbackService
from clarion.callbacks.signature import Signer, new_private_key
from clarion.cli import callbacks, main
from clarion.clock import SystemClock
from clarion.foundation import Foundation
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.devices import Device, register_many
from tests.support.receiver import Call, Receiver, answer
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants, in_foundation, make_tenants

pytestmark = pytest.mark.real_process

PAGE = Path(__file__).parents[2] / "docs" / "callbacks.md"
APP = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
BATCH = trial_batch(APP_ID, WORKSPACE_ID, 9, 1000)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def tenants(data_dir: Path) -> Tenants:
    return make_tenants(data_dir)


def switch_on(data_dir: Path, url: str) -> str:
    """Set the callback of the usual app; the public key."""

    async def work(foundation: Foundation) -> str:
        entry = await CallbackService(foundation.database, foundation.vault).set(APP_ID, WORKSPACE_ID, url)
        assert entry.public_key is not None
        return entry.public_key

    return in_foundation(work, data_dir)


async def push(server: ServerProcess, tenants: Tenants, device: Device, keys: list[str]) -> None:
    """Push each key to the device and wait until it has them."""
    async with Connection(server.api) as connection:
        for key in keys:
            said = await connection.post(form(sign(tenants.push, "PushSimple", push_parameters(device.token, key))))
            assert said.code == "100" or said.status == 200, said.body
    await device.has(set(keys))


def told(calls: list[Call], kind: str = "status") -> list[str]:
    return [event["msgKey"] for call in calls for event in call.events if event["type"] == kind]


@pytest.mark.slow
async def test_killed_between_the_answer_and_its_commit(data_dir: Path, tenants: Tenants) -> None:
    async with Receiver() as receiver:
        public_key = switch_on(data_dir, receiver.url)
        with ServerProcess(data_dir) as server:
            (identity,) = await register_many(server.api, tenants.app_secret, 1)
            answered = asyncio.Event()

            async def take_and_freeze(writer: asyncio.StreamWriter) -> None:
                server.process.suspend()  # from now on it cannot act on what it is told
                await answer(204)(writer)
                answered.set()

            receiver.replies.append(take_and_freeze)
            async with Device(server.link_url, identity) as device:
                await device.online()
                await push(server, tenants, device, ["a", "b", "c"])
                async with asyncio.timeout(30):
                    await answered.wait()
                server.kill()
                await asyncio.to_thread(server.start)
                await push(server, tenants, device, ["d"])
                while set(told(receiver.calls[1:])) < {"a", "b", "c", "d"}:
                    await receiver.called(len(receiver.calls) + 1)
            assert await asyncio.to_thread(server.terminate) == 0
            repeated = {identifier for call in receiver.calls[1:] for identifier in call.ids}
            assert set(receiver.calls[0].ids) <= repeated
            assert len(set(receiver.ids)) == 8, "a status and an arrival of each message"
            for call in receiver.calls:
                call.verify(public_key)
            assert "secret" not in server.log
        shown = run_clarion(data_dir, "callback", "show", *APP, "--json")
        assert (json.loads(shown.stdout)["waiting"], json.loads(shown.stdout)["last"]["taken"]) == (0, True)


async def test_a_server_that_does_not_answer_delays_no_delivery(data_dir: Path, tenants: Tenants) -> None:
    async with Receiver() as receiver:
        switch_on(data_dir, receiver.url)

        async def hang(writer: asyncio.StreamWriter) -> None:
            await writer.wait_closed()

        receiver.replies.extend([hang] * 100)
        with ServerProcess(data_dir, callback_timeout=1, drain_seconds=1) as server:
            (identity,) = await register_many(server.api, tenants.app_secret, 1)
            async with Device(server.link_url, identity) as device:
                await device.online()
                await push(server, tenants, device, ["a"])
                await receiver.called(1)
                async with asyncio.timeout(2):
                    await push(server, tenants, device, [f"{n}" for n in range(20)])
                await receiver.called(2)
            assert await asyncio.to_thread(server.terminate) == 0
            failed = [json.loads(line) for line in server.log.splitlines() if "callback_failed" in line]
        assert failed[0]["cause"] == "timed out"
        assert failed[0]["url"] == receiver.url.partition("?")[0]


class Program:
    """The receiver in docs/callbacks.md, which notes what it handles."""

    def __init__(self) -> None:
        (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
        names: dict[str, Any] = {"__name__": "receiver"}
        exec(compile(source, str(PAGE), "exec"), names)
        self.verify, self.forged = names["verify"], names["Forged"]
        self.handled: list[dict[str, Any]] = []
        self.handler: type[Any] = type(
            "Noting", (names["Receiver"],), {"handle_event": self._handle, "log_message": lambda *_: None}
        )

    def _handle(self, app_id: str, event: dict[str, Any]) -> None:
        self.handled.append({"app": app_id, **event})

    @contextmanager
    def running(self) -> Iterator[str]:
        """Listens; gives the URL."""
        with ThreadingHTTPServer(("127.0.0.1", 0), self.handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
            thread.join()


async def call_with(key: Signer, url: str) -> Answer:
    """Call once, as a server does."""
    caller = HttpCaller(SystemClock())
    try:
        return await caller.call(Destination(APP_ID, WORKSPACE_ID, url, key), BATCH)
    finally:
        await caller.close()


async def test_the_program_of_the_documents() -> None:
    program, key = Program(), Signer(new_private_key())
    program.handler.public_key_pem = key.public_key.encode()
    with program.running() as url:
        assert (await call_with(Signer(new_private_key()), url)).status == 401
        assert program.handled == []
        assert (await call_with(key, url)).status == 204
        assert (await call_with(key, url)).status == 204, "a repeat is taken"
        (event,) = program.handled
        assert (event["app"], event["type"], event["id"]) == (APP_ID, "test", "9")


async def test_the_verifier_of_the_documents() -> None:
    program, key = Program(), Signer(new_private_key())
    async with Receiver() as receiver:
        await call_with(key, receiver.url)
        (call,) = receiver.calls
    at = int(call.headers["x-clarion-timestamp"])

    def verify(body: bytes = call.body, later: float = 0, signer: Signer = key, **changes: str) -> object:
        headers = Message()  # finds names in any case, as the headers of http.server do
        for name, value in {**call.headers, **{f"x-clarion-{n}": v for n, v in changes.items()}}.items():
            headers[name] = value
        return program.verify(signer.public_key.encode(), headers, body, lambda: at / 1000 + later)

    assert verify() == verify(later=299) == verify(later=-299) == call.payload
    forged: list[dict[str, Any]] = [
        {"body": call.body + b" "},
        {"later": 301},
        {"later": -301},
        {"signer": Signer(new_private_key())},
        {"timestamp": str(at + 1)},
        {"timestamp": ""},
        {"signature": ""},
        {"signature": "*"},
        {"signature": "AAAA"},
    ]
    for changes in forged:
        with pytest.raises(program.forged):
            verify(**changes)


class Run(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its output."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


Clarion = Callable[..., Run]


@pytest.fixture
def clarion(data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clarion:
    """Runs `clarion callback` for an app, in this process."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CLARION_DATA_DIR", str(data_dir))
    make_tenants(data_dir)

    def clarion(*arguments: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["clarion", "callback", *arguments, *APP])
        with pytest.raises(SystemExit) as ended:
            main.run()
        code = ended.value.code
        return Run(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    return clarion


def test_commands_and_the_program_of_the_documents(clarion: Clarion) -> None:
    program = Program()
    with program.running() as url:
        made = clarion("set", "--url", url, "--json").json
        assert made.keys() == {"appId", "workspaceId", "url", "publicKey", "waiting", "last"}
        assert (made["url"], made["waiting"], made["last"]) == (url, 0, None)
        program.handler.public_key_pem = made["publicKey"].encode()
        assert clarion("test", "--json").json == {"taken": True, "status": 204, "cause": None, "body": ""}
        assert "answered 204" in clarion("test").out
        assert [event["type"] for event in program.handled] == ["test", "test"]

        assert clarion("set", "--url", f"{url}?secret=1", "--json").json["publicKey"] == made["publicKey"]
        renewed = clarion("set", "--new-key", "--json").json
        assert renewed["publicKey"] != made["publicKey"]
        assert renewed["url"] == f"{url}?secret=1"
        refused = clarion("test", "--json")
        assert (refused.code, refused.json["status"], refused.json["cause"]) == (1, 401, "answered 401")
        refused = clarion("test")
        assert (refused.code, "answered 401" in refused.err, "secret" in refused.err) == (1, True, False)
        assert len(program.handled) == 2


def test_commands_that_cannot_be_done(clarion: Clarion) -> None:
    missing = clarion("test")
    assert (missing.code, "clarion callback set" in missing.err) == (1, True)
    bad = clarion("set", "--url", "http://user:password@127.0.0.1/")
    assert (bad.code, "must not hold a user" in bad.err, "Traceback" in bad.err) == (1, True, False)
    assert clarion("set").code == 1


def test_commands_show_and_off(clarion: Clarion) -> None:
    shown = clarion("set", "--url", "http://127.0.0.1:1/")
    assert (shown.code, "BEGIN PUBLIC KEY" in shown.out, "PRIVATE" in shown.out) == (0, True, False)
    assert "0 events" in clarion("show").out
    assert clarion("off", "--json").json["url"] is None
    assert "off" in clarion("off").out
    assert clarion("show", "--json").json["url"] is None


def test_the_page_names_the_commands() -> None:
    words = re.findall(r"^clarion callback (\w+)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(words) == {command.name for command in callbacks.commands.registered_commands}
