"""Any order of pushes, binds, acks and passing time: the database stays true to a simple model of it."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from clarion.clock import ManualClock
from clarion.delivery.states import MOVES, MessageStatus
from clarion.store.opening import open_database
from tests.store.system import ANDROID, USER, System

_DEVICES = st.integers(0, 2)
_USERS = st.sampled_from(["bob", "eve"])
_KEYS = st.sampled_from(["a", "b", "c", "d"])


@dataclass
class Message:
    """What the model knows of a message."""

    target: str
    key: str
    kind: int
    expires: int
    status: MessageStatus


class Delivery(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.messages: dict[tuple[str, str, int], Message] = {}
        self.owed: dict[int, list[Message]] = {0: [], 1: [], 2: []}
        self.users: dict[int, str | None] = {0: None, 1: None, 2: None}

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        async def build() -> None:
            database = await open_database(f"sqlite:///{Path(self.directory.name) / 'a.db'}")
            self.system = await System(database, self.clock).open()
            self.devices = [await self.system.device() for _ in range(3)]

        self.run(build())

    def teardown(self) -> None:
        async def close() -> None:
            await self.system.writer.drain()
            await self.system.database.close()

        self.run(close())
        self.runner.close()
        self.directory.cleanup()

    def live(self, message: Message) -> bool:
        return message.expires > self.clock.now_ms()

    def move(self, message: Message, status: MessageStatus) -> None:
        if message.status is not status:
            assert status in MOVES[message.status]
            message.status = status

    def push(self, target: str, key: str, kind: int, seconds: int, devices: list[int]) -> None:
        repeated = self.run(self.system.push(target, key=key, kind=kind, seconds=seconds)).repeated
        assert bool(repeated) == ((target, key, kind) in self.messages)
        if not repeated:
            bound = devices or kind == ANDROID
            status = MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE if bound else MessageStatus.NO_BIND_INFO
            message = Message(target, key, kind, self.clock.now_ms() + seconds * 1000, status)
            self.messages[target, key, kind] = message
            for device in devices:
                self.owed[device].append(message)

    @rule(user=_USERS, key=_KEYS, seconds=st.sampled_from([10, 100]))
    def push_to_user(self, user: str, key: str, seconds: int) -> None:
        self.push(user, key, USER, seconds, [device for device, bound in self.users.items() if bound == user])

    @rule(device=_DEVICES, key=_KEYS, seconds=st.sampled_from([10, 100]))
    def push_to_device(self, device: int, key: str, seconds: int) -> None:
        self.push(self.devices[device][1], key, ANDROID, seconds, [device])

    def withdraw(self, device: int) -> None:
        withdrawn = [message for message in self.owed[device] if message.kind == USER]
        self.owed[device] = [message for message in self.owed[device] if message.kind != USER]
        for message in withdrawn:
            others = [d for d, user in self.users.items() if user == message.target and d != device]
            if message.status is MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE and not others:
                self.move(message, MessageStatus.NO_BIND_INFO)

    @rule(device=_DEVICES, user=_USERS)
    def bind(self, device: int, user: str) -> None:
        self.run(self.system.bind(self.devices[device][1], user))
        if self.users[device] not in (None, user):
            self.withdraw(device)
        self.users[device] = user
        open_statuses = (MessageStatus.NO_BIND_INFO, MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE)
        for message in self.messages.values():
            waits = message.kind == USER and message.target == user and message.status in open_statuses
            if waits and self.live(message) and message not in self.owed[device]:
                self.owed[device].append(message)
                self.move(message, MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE)

    @rule(device=_DEVICES, user=_USERS)
    def unbind(self, device: int, user: str) -> None:
        self.run(self.system.unbind(self.devices[device][1], user))
        if self.users[device] == user:
            self.withdraw(device)
            self.users[device] = None

    @rule(device=_DEVICES, count=st.integers(1, 5))
    def ack(self, device: int, count: int) -> None:
        number = self.devices[device][0]

        async def acknowledge() -> None:
            await self.system.inbox.acked(number, (await self.system.owed_ids(number))[:count])

        self.run(acknowledge())
        acknowledged = self.expected(device)[:count]
        for message in acknowledged:
            self.owed[device].remove(message)
            self.move(message, MessageStatus.ACKED)

    @rule(seconds=st.sampled_from([1, 9, 10, 90]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def maintain(self) -> None:
        self.run(self.system.maintenance.expire())
        self.run(self.system.maintenance.sweep())
        for message in self.messages.values():
            if not self.live(message) and MessageStatus.MSG_EXPIRED in MOVES[message.status]:
                self.move(message, MessageStatus.MSG_EXPIRED)
        for messages in self.owed.values():
            messages[:] = [message for message in messages if self.live(message)]

    @rule()
    def restart(self) -> None:
        self.system = self.run(self.system.restarted())

    def expected(self, device: int) -> list[Message]:
        """What the device is owed, oldest first."""
        order = list(self.messages.values())
        return sorted((message for message in self.owed[device] if self.live(message)), key=order.index)

    @invariant()
    def the_database_agrees(self) -> None:
        if not hasattr(self, "devices"):
            return
        for device, (number, _) in enumerate(self.devices):
            assert self.run(self.system.owed(number)) == [message.key for message in self.expected(device)]
        rows = self.run(self.system.rows("SELECT target, msg_key, target_type, status FROM messages"))
        found = {(target, key, kind): MessageStatus(status) for target, key, kind, status in rows}
        assert found == {name: message.status for name, message in self.messages.items()}


def test_every_order_of_events() -> None:
    run_state_machine_as_test(
        Delivery,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
