"""Values of the tenants capability."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from clarion.tenants.calendar import DEFAULT_TIME_ZONE

MAX_RATE = 1_000_000
"""Highest limit of requests a second."""


class Role(Enum):
    """What an access key may do; each role may do all that the next one may."""

    ADMIN = "admin"
    PUSH = "push"
    READ = "read"

    __hash__ = object.__hash__  # members are single; an Enum's own hash is computed in Python

    def covers(self, needed: Role) -> bool:
        """Whether a key of this role may call an action that needs `needed`."""
        return self is Role.ADMIN or self is needed or needed is Role.READ


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key as the RPC face needs it.

    Attributes:
        key_id: public name of the key.
        secret: what requests are signed with.
        role: what the key may do.
        app_id: the only app that the key may act on, or None for all.
        enabled: a disabled key is refused with `InvalidAccessKeyId.Inactive`.
        requests_per_second: beyond it requests are refused with `Throttling.User`; 0 for no limit.
    """

    key_id: str
    secret: bytes = field(repr=False)
    role: Role
    app_id: str | None = None
    enabled: bool = True
    requests_per_second: int = 0


@dataclass(frozen=True, slots=True)
class App:
    """An app in a workspace: the scope of devices, pushes and statistics.

    Attributes:
        key: internal number, the first part of most primary keys.
        app_id: `AppId` of the API.
        workspace_id: `WorkspaceId` of the API.
        secret: what device registrations are signed with.
        tenant_id: `TenantId` of newer clients; None accepts any.
        push_enabled: the push API switch (off: result 3032).
        time_zone: IANA name of the zone of its schedules and of the days of its statistics.
        requests_per_second: beyond it requests are refused with 8011; 0 for no limit.
        callback_url: where its server is told of statuses and receipts; None: nowhere.
    """

    key: int
    app_id: str
    workspace_id: str
    secret: bytes = field(repr=False)
    tenant_id: str | None = None
    push_enabled: bool = True
    time_zone: str = DEFAULT_TIME_ZONE
    requests_per_second: int = 0
    callback_url: str | None = None
