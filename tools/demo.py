"""`make demo`: unmodified official SDKs push through a Clarion server, over the link and every vendor channel.

Starts a real server and the vendors' simulators on a temporary folder, and ends them. Exit code 0 only if every
message arrived.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from clarion.foundation import open_foundation
from clarion.link.client import LinkClient
from clarion.link.protocol import Push
from clarion.settings import load_settings
from tools.demo_channels import CAMPAIGN, Channels, Vendors

CLARION = Path(sys.executable).with_name("clarion")
APP, WORKSPACE = "ONEX570DA89211721", "default"
SECONDS_TO_ARRIVE = 15.0

console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Message:
    """One push of the demo, and what became of it."""

    key: str
    sdk: str
    target: str
    situation: str
    send: Callable[[], str]
    answer: str = ""
    sent_at: float = 0.0
    arrived_at: float | None = None
    status: str = ""


@dataclass(slots=True)
class Device:
    """A registered device and, while it is connected, its connection."""

    name: str
    token: str
    secret: str
    client: LinkClient | None = None
    reader: asyncio.Task[None] | None = field(default=None, repr=False)


class Demo:
    """The story: who is connected when, who pushes what, and what arrived."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._began = time.monotonic()
        self._server: subprocess.Popen[str] | None = None
        self._log = (data_dir / "server.log").open("w")
        self._messages: list[Message] = []
        self._addresses: dict[str, str] = {}
        self._heard = 0  # devices on the link that got the broadcast

    def clarion(self, *arguments: str) -> Any:
        """Run a command of the program; its JSON."""
        command = [str(CLARION), *arguments, "--data-dir", str(self._data_dir / "data"), "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def start_server(self) -> None:
        """Start `clarion serve` and wait for its ready line."""
        command = [str(CLARION), "serve", "--port", "0", "--link-port", "0", "--json"]
        command += ["--data-dir", str(self._data_dir / "data")]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        line = self._server.stdout.readline() if self._server.stdout else ""
        if not line:
            raise SystemExit(f"the server did not start:\n{(self._data_dir / 'server.log').read_text()}")
        self._addresses = json.loads(line)
        self.say(f"server ready: API {self._addresses['api']}, device link {self._addresses['link']}")

    def stop_server(self) -> None:
        """End the server as an operator would, and its pipes."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(20)
            if self._server.stdout:
                self._server.stdout.close()
        self._log.close()

    def say(self, text: str) -> None:
        """A line of the story, with the time since its beginning."""
        console.print(f"[dim]{time.monotonic() - self._began:6.2f} s[/dim]  {text}")

    def device(self, name: str) -> Device:
        """Register a device."""
        made = self.clarion("device", "register", "--app-id", APP, "--workspace-id", WORKSPACE)
        return Device(name, made["deliveryToken"], made["deviceSecret"])

    async def connect(self, device: Device) -> LinkClient:
        """Connect a device with the reference client."""
        client = LinkClient(self._addresses["link"], APP, WORKSPACE, device.token, device.secret)
        await client.__aenter__()
        device.client = client
        device.reader = asyncio.create_task(self._read(device, client))
        self.say(f"{device.name} connected")
        return client

    async def disconnect(self, device: Device) -> None:
        """Let a device go."""
        if device.client is not None:
            await device.client.close()
        if device.reader is not None:
            await asyncio.gather(device.reader, return_exceptions=True)

    async def _read(self, device: Device, client: LinkClient) -> None:
        async for event in client:
            if isinstance(event, Push):
                for message in self._messages:
                    if message.key == event.msg_key:
                        message.arrived_at = time.monotonic()
                self._heard += event.msg_key == CAMPAIGN
                self.say(f"[green]{device.name} received[/green] {event.title!r} ({event.content})")

    async def push(self, message: Message) -> None:
        """Push with an SDK, in a thread, as its callers do."""
        self._messages.append(message)
        message.sent_at = time.monotonic()
        message.answer = await asyncio.to_thread(message.send)
        self.say(f"[cyan]{message.sdk}[/cyan] pushed to {message.target} ({message.situation}): {message.answer}")

    async def all_arrived(self) -> bool:
        """Wait for the stragglers."""
        end = time.monotonic() + SECONDS_TO_ARRIVE
        while any(m.arrived_at is None for m in self._messages) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)  # the last ack travels back
        return all(m.arrived_at is not None for m in self._messages)

    def table(self, targets: dict[str, str]) -> bool:
        """Print what arrived when; whether the server's own trace agrees."""
        table = Table(title="What arrived when", title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column, justify in (("SDK", "left"), ("TARGET", "left"), ("WHEN PUSHED", "left"), ("ANSWER", "left"),
                                ("AFTER", "right"), ("STATUS", "left")):  # fmt: skip
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        agreed = True
        for message in self._messages:
            trace = self.clarion("trace", "--app-id", APP, "--workspace-id", WORKSPACE,
                                 "--target", targets[message.key], "--msg-key", message.key)  # fmt: skip
            agreed &= trace["status"] == 2
            after = f"{message.arrived_at - message.sent_at:.2f} s" if message.arrived_at else "never"
            table.add_row(message.sdk, message.target, message.situation, message.answer, after,
                          f"{trace['status']} {trace['statusName']}")  # fmt: skip
        console.print()
        console.print(table)
        return agreed

    async def run(self) -> bool:
        """Play it."""
        await asyncio.to_thread(self.clarion, "app", "create", "--app-id", APP, "--workspace-id", WORKSPACE)
        key = await asyncio.to_thread(self.clarion, "key", "create", "--role", "push", "--app", APP)
        await asyncio.to_thread(self.start_server)
        phone, tablet, watch = [await asyncio.to_thread(self.device, n) for n in ("phone", "tablet", "watch")]
        sdks = Sdks(key["accessKeyId"], key["accessKeySecret"], self._addresses["api"].removeprefix("http://"))
        first = await self.connect(tablet)
        await first.bind("alice")
        self.say("tablet bound to user alice; now it goes offline")
        await self.disconnect(tablet)
        await self.connect(phone)
        late = await self.connect(watch)

        old, new = "SDK 2019-08-21 (core)", "SDK 2020-10-28 (tea)"
        await self.push(Message("d-1", old, "device phone", "online", lambda: sdks.core(1, phone.token, "d-1")))
        await self.push(Message("d-2", new, "device phone", "online", lambda: sdks.tea(1, phone.token, "d-2")))
        await self.push(Message("d-3", old, "user alice", "device offline", lambda: sdks.core(3, "alice", "d-3")))
        await self.push(Message("d-4", new, "user bob", "not bound yet", lambda: sdks.tea(3, "bob", "d-4")))
        await asyncio.sleep(1)
        await self.connect(tablet)
        await asyncio.sleep(0.5)
        await late.bind("bob")
        self.say("watch bound to user bob")

        arrived = await self.all_arrived()
        targets = {"d-1": phone.token, "d-2": phone.token, "d-3": "alice", "d-4": "bob"}
        agreed = await asyncio.to_thread(self.table, targets)
        reached = await self.channels(sdks)
        for device in (phone, tablet, watch):
            await self.disconnect(device)
        return arrived and agreed and reached

    async def channels(self, sdks: Sdks) -> bool:
        """The second act: every vendor channel, and a broadcast over all of them."""
        console.print("\n[bold]Every vendor channel[/bold]: the simulators stand in for the vendors\n")
        vendors = await asyncio.to_thread(Vendors, CLARION, self._data_dir)
        try:
            foundation = await open_foundation(load_settings({"data_dir": str(self._data_dir / "data")}))
            act = Channels(self.clarion, vendors, sdks.call, self.say, console, foundation)
            await act.set_up()
            pushed = await act.one_push_each()
            bound = 2  # the tablet and the watch
            announced = await act.broadcast(bound)
            await foundation.database.close()
            return pushed and announced and self._heard == bound
        finally:
            await asyncio.to_thread(vendors.stop)


class Sdks:
    """Both official Python SDKs, exactly as published; only the endpoint is ours."""

    def __init__(self, key_id: str, secret: str, endpoint: str) -> None:
        from alibabacloud_mpaas20201028.client import Client
        from alibabacloud_tea_openapi.models import Config
        from aliyunsdkcore.client import AcsClient

        self._endpoint = endpoint
        self._acs = AcsClient(key_id, secret, "cn-hangzhou")
        self._tea = Client(
            Config(access_key_id=key_id, access_key_secret=secret, endpoint=endpoint, protocol="HTTP")
        )

    def call(self, action: str, fields: dict[str, Any]) -> Any:
        """An action of version 2020-10-28; its Data, if it has one."""
        from alibabacloud_mpaas20201028 import models

        request = getattr(models, "".join(part.title() for part in action.split("_")) + "Request")
        body = getattr(self._tea, action)(request(app_id=APP, workspace_id=WORKSPACE, **fields)).body
        code = getattr(body, "result_code", None) or body.code
        if code not in ("OK", "100"):
            raise SystemExit(f"{action} was answered {code}")
        return getattr(getattr(body, "push_result", None), "data", None)

    def core(self, delivery_type: int, target: str, key: str) -> str:
        """PushSimple of version 2019-08-21; the result code."""
        from aliyunsdkmpaas.request.v20190821.PushSimpleRequest import PushSimpleRequest

        request = PushSimpleRequest()
        request.set_endpoint(self._endpoint)
        request.set_AppId(APP)
        request.set_WorkspaceId(WORKSPACE)
        request.set_TaskName("demo")
        request.set_Title("Hello from 2019-08-21")
        request.set_Content("你好，Clarion")
        request.set_DeliveryType(delivery_type)
        request.set_ExpiredSeconds(600)
        request.set_TargetMsgkey(json.dumps({target: key}))
        return str(json.loads(self._acs.do_action_with_exception(request))["ResultCode"])

    def tea(self, delivery_type: int, target: str, key: str) -> str:
        """PushSimple of version 2020-10-28; the result code."""
        from alibabacloud_mpaas20201028.models import PushSimpleRequest

        request = PushSimpleRequest(
            app_id=APP,
            workspace_id=WORKSPACE,
            task_name="demo",
            title="Hello from 2020-10-28",
            content="你好，Clarion",
            delivery_type=delivery_type,
            expired_seconds=600,
            target_msgkey=json.dumps({target: key}),
        )
        return str(self._tea.push_simple(request).body.result_code)


def main() -> int:
    """Play the demo; the exit code."""
    warnings.simplefilter("ignore")  # of the SDKs
    console.print("[bold]Clarion demo[/bold]: official SDKs push, devices receive\n")
    with tempfile.TemporaryDirectory(prefix="clarion-demo-") as folder:
        demo = Demo(Path(folder))
        try:
            done = asyncio.run(demo.run())
        finally:
            demo.stop_server()
    console.print()
    console.print("[green]Every message arrived.[/green]" if done else "[red]Not every message arrived.[/red]")
    return 0 if done else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
