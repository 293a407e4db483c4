"""Load on a server that is about to fail, and the account of what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from clarion.link.registration import RegistrationAnswer
from tests.support.client import Answer, Connection, form, push_parameters, sign
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants

TEMPORARY = frozenset({"9000", "ServiceUnavailable"})


@dataclass(slots=True)
class Account:
    """What was asked of the server, and what it said.

    Attributes:
        accepted: message keys answered OK, by device token.
        refused: other answers, as (HTTP status, code).
        unanswered: pushes whose connection ended first; they may have been accepted.
    """

    accepted: dict[str, set[str]] = field(default_factory=dict)
    refused: list[tuple[int, str]] = field(default_factory=list)
    unanswered: int = 0

    @property
    def count(self) -> int:
        """How many pushes were answered OK."""
        return sum(map(len, self.accepted.values()))

    def enter(self, token: str, msg_key: str, answer: Answer) -> None:
        """Note an answer to a push."""
        if answer.code == "OK":
            self.accepted.setdefault(token, set()).add(msg_key)
        else:
            self.refused.append((answer.status, answer.code))


class Load:
    """Pushes from several connections to some devices, in turn, until it is told to stop.

    Args:
        server: pushed to; connections that end are opened anew.
        tenants: whose key signs.
        tokens: the devices.
        connections: how many pushes are under way at a time.
    """

    def __init__(
        self, server: ServerProcess, tenants: Tenants, tokens: Sequence[str], connections: int = 8
    ) -> None:
        self.account = Account()
        self._server = server
        self._tenants = tenants
        self._tokens = tokens
        self._connections = connections
        self._number = 0
        self._stopped = False
        self._progress = asyncio.Condition()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Account]:
        """Push until the end of the block."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._connections):
                tasks.create_task(self._push())
            yield self.account
            self.stop()

    def stop(self) -> None:
        """Begin no more pushes."""
        self._stopped = True

    async def accepted(self, more: int) -> None:
        """Wait until `more` pushes than now are answered OK."""
        goal = self.account.count + more
        async with asyncio.timeout(30), self._progress:
            await self._progress.wait_for(lambda: self.account.count >= goal)

    async def refused(self, more: int) -> None:
        """Wait until `more` pushes than now are answered otherwise."""
        goal = len(self.account.refused) + more
        async with asyncio.timeout(30), self._progress:
            await self._progress.wait_for(lambda: len(self.account.refused) >= goal)

    async def _push(self) -> None:
        while not self._stopped:
            try:
                async with Connection(self._server.api) as connection:
                    while not self._stopped:
                        await self._push_one(connection)
            except ConnectionError:
                await asyncio.sleep(0.02)

    async def _push_one(self, connection: Connection) -> None:
        self._number += 1
        token, msg_key = self._tokens[self._number % len(self._tokens)], f"key-{self._number}"
        body = form(sign(self._tenants.push, "PushSimple", push_parameters(token, msg_key)))
        try:
            answer = await connection.post(body)
        except ConnectionError:
            self.account.unanswered += 1
            raise
        async with self._progress:
            self.account.enter(token, msg_key, answer)
            self._progress.notify_all()


@asynccontextmanager
async def connected(server: ServerProcess, identities: Sequence[RegistrationAnswer]) -> AsyncIterator[list[Device]]:
    """Devices of these identities, connected."""
    async with AsyncExitStack() as stack:
        devices = [await stack.enter_async_context(Device(server.link_url, one)) for one in identities]
        async with asyncio.timeout(30):
            for device in devices:
                await device.online()
        yield devices


async def all_arrived(devices: Sequence[Device], account: Account) -> int:
    """Wait until each device has what was accepted for it; how many frames came more than once.

    Raises:
        AssertionError: something is missing, or came to a device that it was not for.
    """
    for device in devices:
        await device.has(account.accepted.get(device.token, set()))
    owners = {key: token for token, keys in account.accepted.items() for key in keys}
    for device in devices:
        assert all(owners.get(key, device.token) == device.token for key in device.received)
    return sum(count - 1 for device in devices for count in device.received.values())
