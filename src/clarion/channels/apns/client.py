"""Sending to APNs: one request a device, thousands at once over a few connections."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from clarion.channels.apns.credentials import ProviderTokens, PushCertificate, load_certificate, load_key
from clarion.channels.apns.errors import is_expired, outcome
from clarion.channels.apns.payload import (
    ACTIVITIES,
    MAX_PAYLOAD,
    Kind,
    Payload,
    collapse_header,
    expiration_header,
    id_header,
    notification_id,
    prepare,
)
from clarion.channels.apns.settings import HOSTS, ApnsSettings
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
    Superseded,
    Unknown,
    VendorCopy,
)
from clarion.channels.message import PushContent
from clarion.channels.sender import Gateway, check_of, gateway
from clarion.clock import Clock
from clarion.http2.headers import HeaderSet
from clarion.http2.pool import Pool, Request

MAX_TOKEN = 256
"""Most characters of a device token; Apple's have 64 or, of live activities, up to 200."""
CHECK_SECONDS = 15.0

_DEVICE = b"/3/device/"
_NOBODY = "0" * 64
_NOT_RECALLABLE = NotRecallable(
    "", "Apple has no call that takes a notification back; a push with the same message key overwrites its text"
)
_NO_ACTIVITY = ConfigError(
    "", "live activities need a key (teamId, keyId, privateKey) instead of a certificate", whole=False
)
_SUPERSEDED = Superseded()


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A notification on its way.

    Attributes:
        position: of its envelope.
        name: its `apns-id`.
        payload: what it was made of.
        request: what is sent.
    """

    position: int
    name: str
    payload: Payload
    request: Request


class Common(NamedTuple):
    """What notifications have in common that differ in their devices alone.

    Attributes:
        payload: what they were made of.
        headers: those that many share.
        body: the payload itself.
        own: of the headers of each, those that are alike.
    """

    payload: Payload
    headers: HeaderSet
    body: bytes
    own: bytes


class ApnsChannel:
    """The way of one app to Apple (`VendorChannel`).

    Args:
        gateway: where Apple is.
        pool: connections there.
        bundle_id: the app's.
        identity: signs provider tokens, or is the certificate that the connections show.
        clock: for limits and times.
    """

    batch = 1_000

    def __init__(
        self,
        gateway: Gateway,
        pool: Pool,
        bundle_id: str,
        identity: ProviderTokens | PushCertificate,
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._pool = pool
        self._bundle_id = bundle_id
        self._tokens = identity if isinstance(identity, ProviderTokens) else None
        self._certificate = identity if isinstance(identity, PushCertificate) else None
        self._clock = clock
        self._path = gateway.prefix + _DEVICE
        self._shared: tuple[str, dict[Kind, HeaderSet]] = ("", {})
        self._trusted = False

    async def send(self, envelopes: Sequence[Envelope]) -> Sequence[SendOutcome]:
        """Send; an outcome for each envelope.

        Until Apple has taken something, one goes ahead of the others: wrong credentials are refused once and not a
        thousand times.
        """
        if self._trusted or len(envelopes) < 2:
            return await self._send(envelopes)
        first = await self._send(envelopes[:1])
        if isinstance(first[0], ConfigError) and first[0].whole:
            return first * len(envelopes)
        return [*first, *await self._send(envelopes[1:])]

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Nothing can be taken back from Apple."""
        return [_NOT_RECALLABLE] * len(copies)

    async def check(self) -> Check:
        """Send to a device that there cannot be: what Apple says of it shows whether the credentials are good."""
        nobody = Envelope(0, 0, _NOBODY, "check", 0, self._clock.now_ms() + 60_000, PushContent("check", "check"))
        where = f"{self._gateway.origin}, {self._bundle_id}"
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                found = (await self._send([nobody]))[0]
        except TimeoutError:
            found = Retry(None, "", self._pool.fault or "no answer")
        return check_of(found, where, None if self._certificate is None else self._certificate.expires_at)

    async def close(self) -> None:
        """Wait for what is under way, and close all connections."""
        await self._pool.close()

    async def _send(self, envelopes: Sequence[Envelope]) -> list[SendOutcome]:
        outcomes: list[SendOutcome] = [Unknown()] * len(envelopes)
        token = "" if self._tokens is None else self._tokens.current()
        sent = self._compose(envelopes, self._headers(token), outcomes)
        expired = await self._carry(sent, outcomes)
        renewed = self._tokens.renew(token) if expired and self._tokens is not None else None
        if renewed is not None:
            headers = self._headers(renewed)
            again = [
                replace(one, request=one.request._replace(headers=headers[one.payload.kind])) for one in expired
            ]
            await self._carry(again, outcomes)
        return outcomes

    def _compose(
        self, envelopes: Sequence[Envelope], headers: Mapping[Kind, HeaderSet], outcomes: list[SendOutcome]
    ) -> list[Sent]:
        """What can be sent; the outcomes of the rest."""
        sent: list[Sent] = []
        content: PushContent | None = None
        payload: Payload | PayloadError = PayloadError()
        common: Common | PayloadError | ConfigError = PayloadError()
        known: object = None
        updates = False
        for position, envelope in enumerate(envelopes):
            if envelope.content is not content:
                content, known = envelope.content, None
                payload = prepare(content)
                updates = updates or _is_update(content)
            alike = envelope.msg_key, envelope.task, envelope.expires_at
            if alike != known:
                common = _common(envelope, payload, headers)
                known = None if isinstance(common, Common) and common.payload.timed else alike
            if not isinstance(common, Common):
                outcomes[position] = common
                continue
            token = envelope.token
            if not (token.isalnum() and token.isascii() and len(token) <= MAX_TOKEN):
                outcomes[position] = InvalidToken(None, "BadDeviceToken", "not hexadecimal digits; it was not sent")
                continue
            name = notification_id(envelope.message, envelope.device)
            path = self._path + token.lower().encode()
            request = Request(common.headers, path, common.body, id_header(name) + common.own)
            sent.append(Sent(position, name, common.payload, request))
        return _newest(sent, envelopes, outcomes) if updates else sent

    async def _carry(self, sent: Sequence[Sent], outcomes: list[SendOutcome]) -> list[Sent]:
        """Send, and note the outcomes; which failed for the provider token alone."""
        answers = await self._pool.send_all([one.request for one in sent])
        expired: list[Sent] = []
        for one, answer in zip(sent, answers, strict=True):
            if answer.status == 200:
                outcomes[one.position] = Accepted(one.name, one.payload.notes)
                self._trusted = True
                continue
            outcomes[one.position] = outcome(answer, one.name, self._clock)
            if answer.status:
                self._trusted = answer.status != 403
            if is_expired(answer):
                expired.append(one)
        return expired

    def _headers(self, token: str) -> dict[Kind, HeaderSet]:
        """The headers that notifications share, by their kind; those that may not be sent are not there."""
        known, headers = self._shared
        if headers and known == token:
            return headers
        identity = [(b"authorization", b"bearer " + token.encode())] if token else []
        headers = {
            kind: self._gateway.headers([
                *identity,
                (b"apns-topic", f"{self._bundle_id}{kind.suffix}".encode()),
                (b"apns-push-type", kind.push_type),
                (b"apns-priority", kind.priority),
            ])
            for kind in Kind
            if token or kind not in ACTIVITIES
        }  # fmt: skip
        self._shared = token, headers
        return headers


def _is_update(content: PushContent) -> bool:
    return content.activity is not None and content.activity.event == "update"


def _newest(sent: Sequence[Sent], envelopes: Sequence[Envelope], outcomes: list[SendOutcome]) -> list[Sent]:
    """Without the updates of live activities for which there is something newer; the outcomes of those.

    What waited for long is out of date, would spend the activity's budget, and could overtake the newest state
    within the second that Apple's timestamps tell apart.
    """
    newest: dict[str, int] = {}
    for one in sent:
        envelope = envelopes[one.position]
        if one.payload.kind in ACTIVITIES:
            newest[envelope.token] = max(envelope.message, newest.get(envelope.token, 0))
    kept: list[Sent] = []
    for one in sent:
        envelope = envelopes[one.position]
        if _is_update(envelope.content) and envelope.message < newest[envelope.token]:
            outcomes[one.position] = _SUPERSEDED
        else:
            kept.append(one)
    return kept


def _common(
    envelope: Envelope, payload: Payload | PayloadError, headers: Mapping[Kind, HeaderSet]
) -> Common | PayloadError | ConfigError:
    if isinstance(payload, PayloadError):
        return payload
    shared = headers.get(payload.kind)
    if shared is None:
        return _NO_ACTIVITY
    body = payload.body(envelope)
    if len(body) > MAX_PAYLOAD:
        text = f"the payload has {len(body)} bytes, {MAX_PAYLOAD} are allowed; it was not sent"
        return PayloadError("PayloadTooLarge", text)
    own = expiration_header(envelope.expires_at)
    if payload.kind is Kind.ALERT:
        own += collapse_header(envelope.msg_key)
    return Common(payload, shared, body, own)


def open_channel(settings: ApnsSettings, clock: Clock) -> ApnsChannel:
    """The channel of a channel file; it connects when there is something to send.

    Raises:
        msgspec.ValidationError: the file is wrong; the text says where, without its values.
    """
    identity: ProviderTokens | PushCertificate
    context, bundle_id = None, settings.bundle_id
    environment: str | None = settings.environment
    if settings.certificate is not None:
        identity = load_certificate(settings)
        context = identity.tls(settings)
        bundle_id = bundle_id or identity.bundle_id
        environment = environment or identity.environment
        if identity.environment not in (None, environment):
            raise msgspec.ValidationError(f"environment is {environment}, the certificate is for the other one")
    else:
        key = load_key(settings.private_key or "")
        identity = ProviderTokens(key, settings.key_id or "", settings.team_id or "", clock)
    if not bundle_id:
        raise msgspec.ValidationError("missing: bundleId, which the certificate does not name")
    way = gateway(settings.base_url or HOSTS[environment or "production"], settings, context)
    return ApnsChannel(way, way.pool(settings.connections), bundle_id, identity, clock)
