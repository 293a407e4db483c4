"""The channel: which messages go together, what OPPO says, and what that means for each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from clarion.channels.addressing import Addressed, addressed, blamed_on_message, blames_some
from clarion.channels.authorized import Judge, Judged, authorized, checked
from clarion.channels.base import (
    Accepted,
    Check,
    Envelope,
    NotRecallable,
    PayloadError,
    RateLimited,
    RecallOutcome,
    SendOutcome,
    Unknown,
    VendorCopy,
)
from clarion.channels.batching import Underway, bounded, grouped, packed, told_apart
from clarion.channels.forms import CONTENT_TYPE, quoted
from clarion.channels.http import HttpClient
from clarion.channels.oppo.errors import CODES, DUPLICATE, OF_A_KIND, OF_THE_MESSAGE, row_of
from clarion.channels.oppo.payload import Message, Renderer
from clarion.channels.oppo.settings import BASE_URL, OppoSettings
from clarion.channels.outcomes import code_of, outcome_of, scrub, vendor_id_of
from clarion.channels.pauses import Pauses
from clarion.channels.tokens import AccessToken, TokenSource
from clarion.clock import Clock

AUTH_PATH = "/server/v1/auth"
SINGLE_PATH = "/server/v1/message/notification/unicast"
BATCH_PATH = "/server/v1/message/notification/unicast_batch"
MAX_MESSAGES = 1000

MAX_BYTES = 320_000
"""Of the messages of a call, before the form's encoding, which makes Chinese text three times as long."""

_AT_ONCE = 4
_TOKEN_SECONDS = 86_400.0
_RENEWED_EARLY = 7200.0
_CLOSE_SECONDS = 5.0
_TOKEN = re.compile(r"[!-:<-~]{1,512}")  # printable ASCII without the semicolon, which separates tokens elsewhere


_Item = Addressed[Message]


class OppoChannel:
    """Sends by OPPO PUSH.

    Args:
        settings: of the channel file.
        clock: time.
        seconds: for one call.

    Attributes:
        batch: how many envelopes are best handed over at once.
    """

    batch = MAX_MESSAGES

    def __init__(self, settings: OppoSettings, clock: Clock, *, seconds: float = 15.0) -> None:
        self._settings = settings
        self._clock = clock
        base = settings.base_url or BASE_URL
        secrets = (settings.master_secret, settings.app_key)
        self._http, self._auth = (
            HttpClient(
                url, ca_file=settings.ca_file, proxy=settings.proxy, seconds=seconds, connections=4 * _AT_ONCE
            )
            for url in (base, settings.token_url or base.rstrip("/") + AUTH_PATH)
        )
        self._tokens = TokenSource(self._fetch, clock, early=_RENEWED_EARLY)
        self._judge = Judge("code", "message", row_of, secrets, clock)
        self._pauses = Pauses(clock, OF_A_KIND)
        self._underway = Underway()

    async def send(self, envelopes: Sequence[Envelope]) -> list[SendOutcome]:
        """Send; an outcome for each envelope, in their order."""
        outcomes: list[SendOutcome] = [Unknown()] * len(envelopes)
        renderer = Renderer(self._settings, self._clock.now_ms())

        def make(envelope: Envelope) -> Message | RateLimited:
            message = renderer.message(envelope)
            return self._pauses.limit(message.quota) or message

        items = [item for same in addressed(envelopes, make, _TOKEN, outcomes) for item in same]
        calls = [
            partial(self._deliver, part, outcomes)
            for rank in _ranked(items)
            for part in packed(rank, MAX_MESSAGES, _size, MAX_BYTES)
        ]
        with self._underway:
            await bounded(calls, _AT_ONCE)
        return outcomes

    async def recall(self, copies: Sequence[VendorCopy]) -> list[RecallOutcome]:
        """OPPO has no such call."""
        return [NotRecallable("", "OPPO cannot take messages back")] * len(copies)

    async def check(self) -> Check:
        """Ask for an access token, which reaches no device."""
        with self._underway:
            return await checked(self._fetch, self._auth.host)

    async def close(self) -> None:
        """Finish what is under way for a few seconds, and close all connections."""
        await self._underway.ended(_CLOSE_SECONDS)
        await self._http.close()
        await self._auth.close()

    async def _fetch(self) -> AccessToken:
        key, timestamp = self._settings.app_key, str(self._clock.now_ms())
        sign = sha256(f"{key}{timestamp}{self._settings.master_secret}".encode()).hexdigest()
        answer = await self._auth.post_form("", {"app_key": key, "timestamp": timestamp, "sign": sign})
        return self._judge.token(answer, sign, lambda value: _member(value, "data", "auth_token"), _TOKEN_SECONDS)

    async def _deliver(self, items: Sequence[_Item], outcomes: list[SendOutcome]) -> None:
        for item, outcome in zip(items, await told_apart(items, self._call, blames_some), strict=True):
            plain = isinstance(outcome, Accepted) and not item.message.notes
            final = outcome if plain else self._pauses.noted(item.message.quota, _final(outcome, item))
            item.settle(final, outcomes)

    async def _call(self, items: Sequence[_Item]) -> SendOutcome | list[SendOutcome]:
        tokens = [item.token for item in items]
        if len(items) == 1:
            path, value = SINGLE_PATH, b"message=" + _quoted(items)
        else:
            path, value = BATCH_PATH, b"messages=%%5B%b%%5D" % _quoted(items)

        async def call(token: str) -> Judged:
            form = b"auth_token=%b&%b" % (quoted(token), value)
            answer = await self._http.post(path, form, {"Content-Type": CONTENT_TYPE})
            return self._judge.judge(answer, (*tokens, token))

        judged = await authorized(self._tokens, call)
        if not isinstance(judged.outcome, Accepted):
            return judged.outcome
        if len(items) == 1:
            return Accepted(vendor_id_of(_member(judged.value, "data", "messageId")))
        return self._each(judged.value.get("data"), tokens)

    def _each(self, data: Any, tokens: Sequence[str]) -> list[SendOutcome]:
        """What the answer to a batch says of each of its tokens, in whatever order it does."""
        told = {
            token: element
            for element in (data if isinstance(data, list) else ())
            if isinstance(element, dict) and isinstance(token := element.get("registrationId"), str)
        }
        return [self._of(told.get(token)) for token in tokens]

    def _of(self, element: Mapping[str, Any] | None) -> SendOutcome:
        if element is None:
            return Unknown("", "OPPO's answer does not name this device")
        code = code_of(element.get("errorCode", 0))
        if code is None:
            return Unknown("", "OPPO's answer has no sense for this device")
        if code == "0":
            return Accepted(vendor_id_of(element.get("messageId")))
        text = scrub(element.get("errorMessage"), [element["registrationId"]])
        return outcome_of(row_of(code, text), code, text, self._clock)


def _size(item: _Item) -> int:
    return len(item.message.encoded) + len(item.token)


def _quoted(items: Sequence[_Item]) -> bytes:
    """The messages for devices as elements of a JSON list in a form.

    What they have in common is encoded once, as they repeat it a thousand times; so are all tokens together.
    """
    around: dict[int, tuple[bytes, bytes]] = {}
    elements = []
    tokens = quoted("\n".join([msgspec.json.encode(item.token)[1:-1].decode() for item in items]))
    for item, token in zip(items, tokens.split(b"%0A"), strict=True):
        message = item.message
        before, after = around.get(id(message)) or around.setdefault(id(message), message.quoted())
        elements.append(b"%b%b%b" % (before, token, after))
    return b"%2C".join(elements)


def _ranked(items: Sequence[_Item]) -> list[list[_Item]]:
    """The items such that no token comes twice in a list: answers are told apart by token."""
    if len({item.token for item in items}) == len(items):
        return [[*items]] if items else []
    ranks: list[list[_Item]] = []
    for same in grouped(items, lambda item: item.token).values():
        for rank, item in enumerate(same):
            if rank == len(ranks):
                ranks.append([])
            ranks[rank].append(item)
    return ranks


def _final(outcome: SendOutcome, item: _Item) -> SendOutcome:
    """An outcome with the message's notes; of a message that was sent before, a duplicate is a success."""
    if isinstance(outcome, PayloadError) and outcome.code == DUPLICATE and item.again:
        outcome = Accepted("", (CODES[DUPLICATE].meaning,))
    if not isinstance(outcome, Accepted):
        return blamed_on_message(outcome, OF_THE_MESSAGE, chosen=item.message.chosen)
    notes = item.message.notes
    return Accepted(outcome.vendor_id, (*outcome.notes, *notes)) if notes else outcome


def _member(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def open_channel(settings: OppoSettings, clock: Clock, *, seconds: float = 15.0) -> OppoChannel:
    """The channel of an app.

    Args:
        settings: of the channel file.
        clock: time.
        seconds: for one call.
    """
    return OppoChannel(settings, clock, seconds=seconds)
