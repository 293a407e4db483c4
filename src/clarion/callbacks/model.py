"""What an app's server is told, and when it is told again. Pure.

Source: docs/callbacks.md, which is the contract with receivers.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from clarion.callbacks.signature import Signer
from clarion.channels.registry import Channel
from clarion.delivery.ledger import EventKind
from clarion.delivery.series import Series
from clarion.delivery.states import MessageStatus

VERSION = 1
MAX_EVENTS = 500
MAX_BYTES = 1 << 20
MAX_URL = 2048
MAX_ANSWER = 1024

_LABELS = {int(status): status.label for status in MessageStatus}
_ACKED = int(MessageStatus.ACKED)
_EXCEPTION = int(MessageStatus.EXCEPTION)
_UNKNOWN = int(MessageStatus.NONE)
_MAX_BACK_OFF_DOUBLINGS = 16


class UrlError(ValueError):
    """The text is no URL that can be called; it says why."""


class CallbackEvent(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One event as the receiver gets it.

    Attributes:
        id: of the event, decimal; the same when it is told again.
        type: `status`, `arrive`, `open`, `ignore`; `test` for a trial.
        msg_key: the caller's key of the message.
        target: whom the push was for; of a broadcast, the device's token.
        message_id: of the message, decimal.
        task_id: of its task, decimal.
        status: of the message, now; final for `status`.
        status_desc: its documented name.
        timestamp: when it happened, ms.
        channel: the way that the message went, if it has been planned.
        device: token of the device, if it concerns one.
    """

    id: str
    type: str
    msg_key: str
    target: str
    message_id: str
    task_id: str
    status: int
    status_desc: str
    timestamp: int
    channel: str | None = None
    device: str | None = None


class Entry(NamedTuple):
    """A row of the outbox, with what is known of its message; None where the row is no more.

    Attributes:
        event: number of the event.
        kind: what is told.
        at: time, ms.
        message: the message; of a broadcast, its task.
        task: of the message.
        target: of the message.
        msg_key: of the message.
        status: of the message.
        series: of the message.
        broadcast_key: message key of the broadcast.
        token: of the device.
        device_channel: vendor channel of the device.
    """

    event: int
    kind: str
    at: int
    message: int
    task: int | None
    target: str | None
    msg_key: str | None
    status: int | None
    series: int | None
    broadcast_key: str | None
    token: str | None
    device_channel: str | None


def event_of(entry: Entry) -> CallbackEvent | None:
    """The event that a row stands for; None if its message is past retention, or its broadcast's device is gone."""
    if entry.target is not None:
        channel = _channel_of(entry.series or 0)
        return _event(entry, entry.msg_key, entry.target, entry.task, entry.status, channel)
    if entry.broadcast_key is not None and entry.token is not None:
        # A broadcast has no status, but each device; one that tells of it has it.
        channel = entry.device_channel or Channel.LINK.label
        of_device = partial(_event, msg_key=entry.broadcast_key, target=entry.token, task=entry.message)
        if entry.kind == EventKind.ENDED.value:
            ended = entry._replace(kind=EventKind.STATUS.value)
            return of_device(ended, status=_EXCEPTION, channel=channel)
        return of_device(entry, status=_ACKED, channel=channel)
    return None


@cache
def _channel_of(series: int) -> str | None:
    channel = Series.of(series).channel
    return channel.label if channel else None


def _event(
    entry: Entry, msg_key: str | None, target: str, task: int | None, status: int | None, channel: str | None
) -> CallbackEvent:
    number = _UNKNOWN if status is None else status
    return CallbackEvent(
        id=str(entry.event),
        type=entry.kind,
        msg_key=msg_key or "",
        target=target,
        message_id=str(entry.message),
        task_id=str(task),
        status=number,
        status_desc=_LABELS.get(number, str(number)),
        timestamp=entry.at,
        channel=channel,
        device=entry.token,
    )


class _Payload(msgspec.Struct, frozen=True, rename="camel"):
    v: int
    app_id: str
    workspace_id: str
    batch: str
    sent_at: int
    events: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call tells.

    Attributes:
        name: names this list of events: the same list has the same name.
        body: the JSON text, at most `MAX_BYTES`.
        entries: numbers of the rows that are done with when it is taken.
        count: how many of them are told; the others are of messages that are no more.
        full: whether more rows may wait.
    """

    name: str
    body: bytes
    entries: tuple[int, ...]
    count: int
    full: bool


_HEAD_BYTES = 1024
"""Room for all that is not an event: names of app and workspace have at most 128 characters each."""


def make_batch(app_id: str, workspace_id: str, entries: Iterable[Entry], now: int, limit: int = MAX_BYTES) -> Batch:
    """As many of `entries` as one call takes, in their order; at least one.

    Args:
        app_id: `AppId` of the API.
        workspace_id: `WorkspaceId` of the API.
        entries: at most `MAX_EVENTS` rows, in order.
        now: time, ms.
        limit: most bytes of the body.
    """
    used: list[int] = []
    texts: list[msgspec.Raw] = []
    name, size, cut = hashlib.sha256(), _HEAD_BYTES, False
    for entry in entries:
        event = event_of(entry)
        if event is not None:
            text = msgspec.json.encode(event)
            size += len(text) + 1
            if texts and size > limit:
                cut = True
                break
            texts.append(msgspec.Raw(text))
            name.update(f"{entry.event} ".encode())
        used.append(entry.event)
    batch = name.hexdigest()[:32]
    body = msgspec.json.encode(_Payload(VERSION, app_id, workspace_id, batch, now, texts))
    return Batch(batch, body, tuple(used), len(texts), cut or len(used) >= MAX_EVENTS)


def trial_batch(app_id: str, workspace_id: str, event: int, now: int) -> Batch:
    """A batch with one event of the type `test`, which is of no message."""
    entry = Entry(event, "test", now, 0, 0, "test", "test", _ACKED, 0, None, None, None)
    return make_batch(app_id, workspace_id, [entry], now)


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait before a batch is sent again: twice as long each time.

    Attributes:
        first: before the first repetition, s.
        most: never longer, s.
        chance: 0 to 1; spreads the waits over their upper half, so that servers do not call in step.
    """

    first: float = 1.0
    most: float = 300.0
    chance: Callable[[], float] = random.random

    def seconds(self, failures: int) -> float:
        """The wait after so many failures in a row (1, 2 …)."""
        whole = min(self.most, self.first * 2.0 ** min(failures - 1, _MAX_BACK_OFF_DOUBLINGS))
        return whole * (0.5 + self.chance() / 2)


class LastResult(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """How the last call ended, as `clarion callback show` tells.

    Attributes:
        at: time, ms.
        taken: whether the server took it.
        cause: why not.
        failures: how often in a row it has failed.
    """

    at: int
    taken: bool
    cause: str = ""
    failures: int = 0


def checked_url(url: str) -> str:
    """`url`, if callbacks can be sent there.

    Raises:
        UrlError: it is not `http(s)://host[:port][/path][?query]`, or is over `MAX_URL` characters.
    """
    if len(url) > MAX_URL:
        raise UrlError(f"the URL has over {MAX_URL} characters")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UrlError("the URL has characters that have to be percent-encoded (of a host name: punycode)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlError(f"this is not a URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise UrlError("the URL must begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise UrlError("the URL names no host that can be called")
    if "@" in parts.netloc:
        raise UrlError("the URL must not hold a user or password: the signature says who calls")
    if "#" in url:
        raise UrlError("the URL must not have a fragment (#…)")
    return url


def without_query(url: str) -> str:
    """What a log may show of a URL."""
    return url.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an app's callbacks go.

    Attributes:
        app_id: `AppId` of the API.
        workspace_id: `WorkspaceId` of the API.
        url: the app's server.
        signer: signs for the app.
    """

    app_id: str
    workspace_id: str
    url: str
    signer: Signer = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended.

    Attributes:
        status: the HTTP status, None if there was no answer.
        cause: why the batch was not taken; empty if it was.
        body: the first `MAX_ANSWER` bytes of what the server said.
    """

    status: int | None
    cause: str = ""
    body: bytes = field(default=b"", repr=False)

    @property
    def taken(self) -> bool:
        """Whether the server took the batch: any 2xx."""
        return not self.cause


class Caller(Protocol):
    """Makes calls."""

    async def call(self, destination: Destination, batch: Batch) -> Answer:
        """Send `batch` once; never raises for what the network or the server does."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
