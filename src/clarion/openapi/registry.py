"""The actions of the API as data: a new action is one `Action` in a registry and the code that serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import msgspec

from clarion.openapi.envelopes import Envelope
from clarion.openapi.errors import GatewayError, GatewayFault
from clarion.openapi.schema import Parameter, Schema
from clarion.tenants.model import AccessKey, Role

VERSIONS = ("2019-08-21", "2020-07-10", "2020-10-28")
"""Accepted versions of the API. Each serves every action: newer ones only add parameters and members."""


class Call(msgspec.Struct, frozen=True):
    """An authenticated request to an action.

    Attributes:
        action: name of the action.
        version: version of the API that the client named.
        request_id: as in the answer.
        key: the access key that signed it.
        params: values of the action's parameters by wire name; absent ones are absent.
        received_ms: wall time (ms) at which the request had arrived.
        nonce_hash: names the request among those of its time; the nonce journal persists it.
    """

    action: str
    version: str
    request_id: str
    key: AccessKey
    params: dict[str, Any]
    received_ms: int
    nonce_hash: int


Handler = Callable[[Call], Awaitable[dict[str, Any] | None]]
"""Carries out a call and returns the members for `Envelope.success`.

Raises:
    Refusal: the business rules turn the call down.
    StoreUnavailable: nothing was written; answered as SYSTEM_ERROR (9000).
    GatewayError: the gateway layer turns it down after all, as when a rate limit is passed.
"""


class Action:
    """An action of the API.

    Args:
        name: `Action` on the wire; case-sensitive.
        versions: the versions whose official clients have it; for documents, not for dispatch.
        role: what the access key needs.
        envelope: the shape of the answer.
        parameters: what it takes, besides the common parameters.
        handler: what serves it.
    """

    __slots__ = ("envelope", "handler", "name", "role", "schema", "versions")

    def __init__(
        self,
        name: str,
        versions: Iterable[str],
        role: Role,
        envelope: Envelope,
        parameters: Iterable[Parameter],
        handler: Handler,
    ) -> None:
        self.name = name
        self.versions = tuple(versions)
        self.role = role
        self.envelope = envelope
        self.schema = Schema(parameters)
        self.handler = handler


class Registry:
    """All actions that a server offers.

    Raises:
        ValueError: two actions have one name.
    """

    def __init__(self, actions: Iterable[Action]) -> None:
        self._actions: dict[str, Action] = {}
        for action in actions:
            if action.name in self._actions:
                raise ValueError(f"action {action.name} is registered twice")
            self._actions[action.name] = action

    def __iter__(self) -> Iterator[Action]:
        return iter(self._actions.values())

    def find(self, name: str | None, version: str | None) -> Action:
        """The action that serves `name` under `version`.

        Raises:
            GatewayError: `MissingAction`, `InvalidAction.NotFound`, `MissingVersion` or `InvalidVersion`.
        """
        if not name:
            raise GatewayError(GatewayFault.PARAMETER_MISSING, name="Action")
        action = self._actions.get(name)
        if action is None:
            raise GatewayError(GatewayFault.ACTION_NOT_FOUND)
        if not version:
            raise GatewayError(GatewayFault.PARAMETER_MISSING, name="Version")
        if version not in VERSIONS:
            raise GatewayError(GatewayFault.VERSION_INVALID)
        return action
