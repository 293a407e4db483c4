"""The second act of `make demo`: every vendor channel, played against the simulators, and a broadcast over all.

Nothing leaves the machine: `clarion simulate` stands in for the vendors, as strict as they are, and its journal
says what each of them got.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from clarion.channels.registry import BY_LABEL
from clarion.delivery.states import Stage
from clarion.delivery.trace import Trace, trace
from clarion.foundation import Foundation

APP_IDS = ("--app-id", "ONEX570DA89211721", "--workspace-id", "default")
SECONDS = 20.0
CAMPAIGN = "autumn-sale"
ANDROID, IOS, HARMONY = 1, 2, 7
_PATH = 36

Clarion = Callable[..., Any]
"""Runs a command of the program; its JSON."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone that a vendor reaches: its channel, the vendor's token, and DeliveryType of a push to it."""

    channel: str
    vendor_token: str
    delivery_type: int = ANDROID

    @property
    def token(self) -> str:
        """Its id; an iPhone's is Apple's token."""
        return self.vendor_token if self.delivery_type == IOS else f"phone-with-{self.channel}"

    @property
    def third_channel(self) -> int:
        """The channel's number in PushReport."""
        return BY_LABEL[self.channel].third_channel

    @property
    def user(self) -> str:
        """Whose it is."""
        return f"{self.channel}-user"

    @property
    def key(self) -> str:
        """The message key of the push to it."""
        return f"hello-{self.channel}"


PHONES = (
    Phone("apns", "ab" * 32, IOS),
    Phone("fcm", "fcm-vendor-token-0123456789abcdef"),
    Phone("hms", "hms-vendor-token-0123456789abcdef"),
    Phone("harmony", "harmony-vendor-token-0123456789abcdef", HARMONY),
    Phone("honor", "honor-token-1"),
    Phone("miui", "miui-vendor-token-0123456789abcdef"),
    Phone("oppo", "OPPO_CN_" + "0" * 32),
    Phone("vivo", "1" * 23),
)


class Vendors:
    """The simulators, as a process of their own."""

    def __init__(self, clarion: Path, folder: Path) -> None:
        self.folder = folder / "simulated"
        self._log = (folder / "simulate.log").open("w")
        command = [str(clarion), "simulate", "--port", "0", "--json", "--credentials", str(self.folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit(f"the simulators did not start:\n{(folder / 'simulate.log').read_text()}")
        self.addresses: dict[str, str] = json.loads(line)

    def journal(self, channel: str, said: str = "") -> list[dict[str, Any]]:
        """What a vendor got for phones, with these words in it."""
        url = f"{self.addresses['control']}/journal?channel={channel}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            entries: list[dict[str, Any]] = json.load(answer)
        return [entry for entry in entries if entry["tokens"] and said in entry["body"]]

    def stop(self) -> None:
        """End them as an operator would."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()


class Channels:
    """The story of the channels.

    Args:
        clarion: runs commands.
        vendors: the simulators.
        sdk: calls an action with an official SDK; the answer's Data.
        say: tells a line of the story.
        console: for tables.
        foundation: traces are read from its database.
    """

    def __init__(
        self,
        clarion: Clarion,
        vendors: Vendors,
        sdk: Callable[[str, dict[str, Any]], Any],
        say: Callable[[str], None],
        console: Console,
        foundation: Foundation,
    ) -> None:
        self._clarion = clarion
        self._vendors = vendors
        self._sdk = sdk
        self._say = say
        self._console = console
        self._foundation = foundation
        self._app = 0

    async def set_up(self) -> None:
        """Give the app all channels and a phone on each."""
        app = await self._foundation.directory.find_app(APP_IDS[1], APP_IDS[3])
        self._app = app.key if app else 0
        labels = [*(phone.channel for phone in PHONES), "sms"]
        await _two_at_a_time(self._set_channel, labels)
        self._say(f"channels set up and tried: {', '.join(labels)}")
        await asyncio.to_thread(self._report_phones)
        self._say(f"{len(PHONES)} phones reported their vendor tokens, one on each channel, and bound their users")
        await asyncio.sleep(1)  # a running server knows its channels within a second

    def _set_channel(self, label: str) -> None:
        self._clarion("channel", "set", *APP_IDS, label, "--file", str(self._vendors.folder / f"{label}.json"))

    def _report_phones(self) -> None:
        """What an app's back end tells of its phones, with the SDK."""
        for phone in PHONES:
            known = {"delivery_token": phone.token, "os_type": phone.delivery_type}
            vendor = {"third_channel": phone.third_channel, "third_channel_device_token": phone.vendor_token}
            self._sdk("push_report", {**known, **vendor})
            self._sdk("push_bind", {**known, "user_id": phone.user, "phone_number": "13800000000"})

    async def one_push_each(self) -> bool:
        """Push to one phone on every channel, and an SMS; whether each vendor got just one."""
        for phone in PHONES:
            target = {phone.token: phone.key}
            await asyncio.to_thread(self._push, phone.delivery_type, target, f"Hello by {phone.channel}")
        sms = {"sms_strategy": 2, "sms_sign_name": "Clarion", "sms_template_code": "SMS_1"}
        await asyncio.to_thread(
            self._push, 3, {PHONES[2].user: "hello-sms"}, "Your code", **sms, sms_template_param='{"code":"4711"}'
        )
        self._say("pushed with the SDK to one phone on each channel, and to one with an SMS beside the push")
        await self._until(lambda: all(self._vendors.journal(phone.channel, "Hello") for phone in PHONES))
        await self._until(lambda: bool(self._vendors.journal("sms")))
        return await self._table_of_pushes()

    def _push(self, delivery_type: int, target_msgkey: dict[str, str], title: str, **more: Any) -> None:
        fields = {
            "task_name": "demo",
            "title": title,
            "content": "你好，Clarion",
            "delivery_type": delivery_type,
            "expired_seconds": 600,
            "target_msgkey": json.dumps(target_msgkey),
            **more,
        }
        self._sdk("push_simple", fields)

    async def _table_of_pushes(self) -> bool:
        table = _table("One push through every channel", "CHANNEL", "VENDOR GOT", "BODY", "ANSWER", "STATUS")
        fine = True
        for phone in PHONES:
            entry = self._vendors.journal(phone.channel, "Hello")[0]
            traced = await self._trace(phone.token, phone.key)
            fine &= traced.status == 2 and entry["outcome"] == "accepted"
            path, size = entry["path"].partition("?")[0], len(entry["body"].encode())
            path = path if len(path) <= _PATH else f"{path[: _PATH - 1]}…"
            status = f"{traced.status} {traced.status_name}"
            table.add_row(phone.channel, path, f"{size} B", entry["outcome"], status)
        sms = self._vendors.journal("sms")
        traced = await self._trace(PHONES[2].user, "hello-sms")
        hop = next((hop for hop in reversed(traced.hops) if hop.stage == Stage.SMS.value), None)
        table.add_row("sms", f"{len(sms)} SMS to one number", "", sms[0]["outcome"], hop.outcome if hop else "none")
        self._console.print()
        self._console.print(table)
        self._console.print()
        return fine and len(sms) == 1 and hop is not None

    async def broadcast(self, listening: int) -> bool:
        """Announce a sale to all Android devices, on whichever channel they are; whether each got it once.

        Args:
            listening: how many devices are on the device link.
        """
        android = [phone for phone in PHONES if phone.delivery_type == ANDROID]
        template: dict[str, Any] = {
            "template_name": "sale",
            "desc_info": "the sale",
            "title": "#what# sale",
            "content": "Today only",
            "push_style": 0,
            "show_style": 0,
            "jump_action": 0,
        }
        await asyncio.to_thread(self._sdk, "create_template", template)
        fields = {
            "task_name": "campaign",
            "delivery_type": 1,
            "expired_seconds": 600,
            "template_name": "sale",
            "template_key_value": '{"what":"Autumn"}',
            "msgkey": CAMPAIGN,
            "push_status": 0,
        }
        task = await asyncio.to_thread(self._sdk, "push_broadcast", fields)
        self._say(f"broadcast {task} to every logged-in Android device")
        await self._until(lambda: all(self._vendors.journal(phone.channel, "Autumn") for phone in android))
        await asyncio.sleep(0.5)  # acks of the device link
        return await self._table_of_broadcast(android, listening)

    async def _table_of_broadcast(self, android: Sequence[Phone], listening: int) -> bool:
        table = _table("One broadcast over a mixed audience", "CHANNEL", "DEVICES", "VENDOR GOT", "STATUS THERE")
        table.add_row("device link", str(listening), "", "2 Acked")
        fine = True
        for phone in android:
            got = self._vendors.journal(phone.channel, "Autumn")
            traced = await self._trace(phone.token, CAMPAIGN)
            fine &= traced.status == 2 and len(got) == 1
            table.add_row(phone.channel, "1", f"{len(got)} request", f"{traced.status} {traced.status_name}")
        self._console.print()
        self._console.print(table)
        return fine

    async def _trace(self, target: str, key: str) -> Trace:
        """What `clarion trace` shows of a message, once it has an end."""
        end = time.monotonic() + SECONDS
        while True:
            found = await trace(self._foundation.database, self._foundation.clock, self._app, target, key)
            if found is not None and (found.status != 0 or time.monotonic() > end):
                return found
            await asyncio.sleep(0.05)

    async def _until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not await asyncio.to_thread(done) and time.monotonic() < end:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


async def _two_at_a_time(work: Callable[[Any], None], items: Sequence[Any]) -> None:
    turn = asyncio.Semaphore(2)

    async def one(item: Any) -> None:
        async with turn:
            await asyncio.to_thread(work, item)

    await asyncio.gather(*map(one, items))
