"""Any order of events with revocations among them: the database stays true to the model."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from clarion.delivery.recalls import REVOCABLE_MS
from clarion.delivery.states import OPEN, MessageStatus
from clarion.results import Refusal
from clarion.revocation.service import Revocation
from tests.store.system import ANDROID, USER
from tests.store.test_state_machine import Delivery, Message

_RECALL = -1
_DEVICES = st.integers(0, 2)
_KEYS = st.sampled_from(["a", "b", "c", "d"])


class Revoking(Delivery):
    """`Delivery`, with revocations. A recall is a message of the model, of a kind of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Message] = []
        self.holders: defaultdict[tuple[str, str, int], set[int]] = defaultdict(set)
        self.recalled: defaultdict[tuple[str, str, int], set[int]] = defaultdict(set)

    def push(self, target: str, key: str, kind: int, seconds: int, devices: list[int]) -> None:
        before = len(self.messages)
        super().push(target, key, kind, seconds, devices)
        self.entries += list(self.messages.values())[before:]

    def expected(self, device: int) -> list[Message]:
        owed = {id(message) for message in self.owed[device] if self.live(message)}
        return [message for message in self.entries if id(message) in owed]

    def _hold(self, device: int, messages: list[Message]) -> None:
        for message in messages:
            if message.kind != _RECALL:
                self.holders[message.target, message.key, message.kind].add(device)

    @rule(device=_DEVICES, count=st.integers(1, 5))
    def ack(self, device: int, count: int) -> None:
        self._hold(device, self.expected(device)[:count])
        super().ack(device, count)

    @rule(device=_DEVICES, count=st.integers(1, 5))
    def send(self, device: int, count: int) -> None:
        number = self.devices[device][0]

        async def send() -> None:
            await self.system.inbox.sent(number, (await self.system.owed_ids(number))[:count])

        self._hold(device, self.expected(device)[:count])
        self.run(send())

    @rule(user=st.sampled_from(["bob", "eve"]), key=_KEYS)
    def revoke_user(self, user: str, key: str) -> None:
        self.revoke(user, key)

    @rule(device=_DEVICES, key=_KEYS)
    def revoke_device(self, device: int, key: str) -> None:
        self.revoke(self.devices[device][1], key)

    def revoke(self, target: str, key: str) -> None:
        work = self.system.revocations.revoke_message("app", "ws", key, target)
        names = [(target, key, kind) for kind in (USER, ANDROID) if (target, key, kind) in self.messages]
        if not names:
            with pytest.raises(Refusal):
                self.run(work)
            return
        counts = [self.withdrawn_and_recalled(name) for name in names]
        assert self.run(work) == Revocation(*map(sum, zip(*counts, strict=True)))

    def withdrawn_and_recalled(self, name: tuple[str, str, int]) -> tuple[int, int]:
        message = self.messages[name]
        withdrawn = message.status in OPEN and self.live(message)
        if withdrawn:
            self.move(message, MessageStatus.REVOKED)
        for device in self.owed:
            self.owed[device] = [owed for owed in self.owed[device] if owed is not message]
        asked = self.holders[name] - self.recalled[name]
        self.recalled[name] |= asked
        for device in sorted(asked):
            expires = self.clock.now_ms() + REVOCABLE_MS
            recall = Message(message.target, message.key, _RECALL, expires, MessageStatus.ACKED)
            self.entries.append(recall)
            self.owed[device].append(recall)
        return int(withdrawn), len(asked)


def test_every_order_of_events() -> None:
    run_state_machine_as_test(
        Revoking,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
