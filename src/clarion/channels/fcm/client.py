"""Sending to FCM: one request a device, many at once over a few connections."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from clarion.channels.base import (
    Accepted,
    Check,
    ConfigError,
    Envelope,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RecallOutcome,
    Retry,
    SendOutcome,
    Unknown,
    VendorCopy,
)
from clarion.channels.fcm.credentials import TokenFetcher
from clarion.channels.fcm.errors import is_unauthenticated, outcome
from clarion.channels.fcm.payload import MAX_PAYLOAD, Template, prepare, size_of
from clarion.channels.fcm.settings import BASE_URL, FcmSettings
from clarion.channels.http import HttpClient
from clarion.channels.message import PushContent
from clarion.channels.sender import Gateway, check_of, gateway
from clarion.channels.tokens import TokenRefused, TokenSource
from clarion.clock import Clock
from clarion.http2.exchange import Answer
from clarion.http2.headers import HeaderSet
from clarion.http2.pool import Pool, Request

MAX_TOKEN = 4_096
"""Most characters of a registration token."""
CHECK_SECONDS = 15.0

_NOBODY = "clarion-check"
_NOT_RECALLABLE = NotRecallable(
    "", "FCM has no call that takes a message back; a push with the same message key overwrites its notification"
)


class Sent(NamedTuple):
    """A message on its way.

    Attributes:
        position: of its envelope.
        token: of its device.
        body: of its request.
        notes: what of it has no place there.
    """

    position: int
    token: str
    body: bytes
    notes: tuple[str, ...] = ()


class FcmChannel:
    """The way of one app to FCM (`VendorChannel`).

    Args:
        gateway: where FCM is.
        pool: connections there.
        project: id of the Firebase project.
        http: gets access tokens.
        fetcher: how.
        clock: for limits and times.
    """

    batch = 500

    def __init__(
        self, gateway: Gateway, pool: Pool, project: str, http: HttpClient, fetcher: TokenFetcher, clock: Clock
    ) -> None:
        self._gateway = gateway
        self._pool = pool
        self._project = project
        self._http = http
        self._tokens = TokenSource(fetcher.fetch, clock)
        self._clock = clock
        self._path = gateway.prefix + f"/v1/projects/{project}/messages:send".encode()
        self._shared: tuple[str, HeaderSet] | None = None

    async def send(self, envelopes: Sequence[Envelope]) -> Sequence[SendOutcome]:
        """Send; an outcome for each envelope."""
        outcomes: list[SendOutcome] = [Unknown()] * len(envelopes)
        await self._deliver(self._compose(envelopes, outcomes), outcomes)
        return outcomes

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Nothing can be taken back from FCM."""
        return [_NOT_RECALLABLE] * len(copies)

    async def check(self) -> Check:
        """Have a message to nobody validated, not sent: what FCM says shows whether the credentials are good."""
        now = self._clock.now_ms()
        nobody = Envelope(0, 0, _NOBODY, "check", 0, now + 60_000, PushContent("check", "check"))
        body = b'{"validate_only":true,' + prepare(nobody.content).body(nobody, now)[1:]
        outcomes: list[SendOutcome] = [Unknown()]
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._deliver([Sent(0, _NOBODY, body)], outcomes)
        except TimeoutError:
            outcomes = [Retry(None, "", self._pool.fault or "no answer")]
        return check_of(outcomes[0], f"{self._gateway.origin}, project {self._project}")

    async def close(self) -> None:
        """Wait for what is under way, and close all connections."""
        await self._pool.close()
        await self._http.close()

    def _compose(self, envelopes: Sequence[Envelope], outcomes: list[SendOutcome]) -> list[Sent]:
        """What can be sent; the outcomes of the rest."""
        sent: list[Sent] = []
        content: PushContent | None = None
        template = Template(b"", b"", tagged=False, notes=())
        now = self._clock.now_ms()
        for position, envelope in enumerate(envelopes):
            if envelope.content is not content:
                content = envelope.content
                template = prepare(content)
            token = envelope.token
            if not (0 < len(token) <= MAX_TOKEN and token.isascii() and token.isprintable()):
                outcomes[position] = InvalidToken(None, "INVALID_ARGUMENT", "no token of FCM; it was not sent")
                continue
            body = template.body(envelope, now)
            size = size_of(body, token)
            if size > MAX_PAYLOAD:
                outcomes[position] = PayloadError(
                    "INVALID_ARGUMENT", f"the message has {size} bytes, {MAX_PAYLOAD} are allowed; it was not sent"
                )
                continue
            sent.append(Sent(position, token, body, template.notes))
        return sent

    async def _deliver(self, sent: Sequence[Sent], outcomes: list[SendOutcome]) -> None:
        """Send, and note the outcomes; once more, with a new access token, what failed for the old one alone."""
        again = await self._carry(sent, outcomes)
        if again:
            await self._carry(again, outcomes)

    async def _carry(self, sent: Sequence[Sent], outcomes: list[SendOutcome]) -> list[Sent]:
        if not sent:
            return []
        try:
            token = await self._tokens.get()
        except TokenRefused as refused:
            kind = ConfigError if refused.final else Retry
            for one in sent:
                outcomes[one.position] = kind(code=refused.code, text=refused.text)
            return []
        headers, path = self._headers(token), self._path
        answers = await self._pool.send_all([Request(headers, path, one.body) for one in sent])
        again = self._settle(sent, answers, token, outcomes)
        if again:
            self._tokens.invalidate(token)
        return again

    def _settle(
        self, sent: Sequence[Sent], answers: Sequence[Answer], access: str, outcomes: list[SendOutcome]
    ) -> list[Sent]:
        """Note the outcomes; which failed for the access token alone."""
        again: list[Sent] = []
        for one, answer in zip(sent, answers, strict=True):
            found = outcome(answer, (one.token, access), self._clock)
            if isinstance(found, Accepted) and one.notes:
                found = Accepted(found.vendor_id, one.notes)
            outcomes[one.position] = found
            if is_unauthenticated(answer):
                again.append(one)
        return again

    def _headers(self, token: str) -> HeaderSet:
        if self._shared is None or self._shared[0] != token:
            authorization = (b"authorization", b"Bearer " + token.encode())
            content_type = (b"content-type", b"application/json; charset=UTF-8")
            self._shared = token, self._gateway.headers([authorization, content_type])
        return self._shared[1]


def open_channel(settings: FcmSettings, clock: Clock) -> FcmChannel:
    """The channel of a channel file; it connects when there is something to send.

    Raises:
        msgspec.ValidationError: the file is wrong; the text says where, without its values.
    """
    account = settings.account
    way = gateway(settings.base_url or BASE_URL, settings)
    token_url = settings.token_url or account.token_uri
    try:
        http = HttpClient(token_url, ca_file=settings.ca_file, proxy=settings.proxy, connections=2)
    except OSError as error:
        raise msgspec.ValidationError(f"caFile cannot be used: {error.strerror}") from None
    fetcher = TokenFetcher(account, http, clock)
    return FcmChannel(way, way.pool(settings.connections), account.project_id, http, fetcher, clock)
