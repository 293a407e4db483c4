"""The channel: which messages go together, what Xiaomi says, and what that means for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlencode

import msgspec

from clarion.channels.addressing import Addressed, addressed, blamed_on_message, blames_some
from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.base import (
    Accepted,
    Check,
    Envelope,
    RateLimited,
    RecallOutcome,
    RecallUnknown,
    SendOutcome,
    Unknown,
    VendorCopy,
)
from clarion.channels.batching import Underway, bounded, chunked, grouped, packed, told_apart
from clarion.channels.http import HttpClient
from clarion.channels.miui.errors import CODES, DAY_QUOTA, NO_CHANNEL, OF_A_KIND, OF_THE_MESSAGE, TAKEN, row_of
from clarion.channels.miui.payload import Message, Renderer
from clarion.channels.miui.settings import BASE_URL, MiuiSettings
from clarion.channels.outcomes import (
    answered,
    check_of,
    outcome_of,
    outcome_of_failure,
    outcome_of_status,
    recall_outcome_of,
    scrub,
    vendor_id_of,
    waiting,
)
from clarion.channels.pauses import Pauses
from clarion.channels.text import notify_id
from clarion.clock import Clock

LIST_PATH = "/v3/message/regid"
MULTI_PATH = "/v2/multi_messages/regids"
QUOTA_PATH = "/v1/trace/quota/get"
MAX_TARGETS = 1000

MAX_BYTES = 320_000
"""Of different messages in a call, before the form's encoding, which makes Chinese text three times as long."""

_AT_ONCE = 4
_WORTH_A_LIST = 20
"""From so many devices on a message has a call of its own, when there are others to send."""
_CLOSE_SECONDS = 5.0
_TOKEN = re.compile(r"[!-+\--~]{1,512}")  # printable ASCII without the comma, which separates tokens
_QUOTA = re.compile(r"(\S+):(\d{1,9})(?=\s|$)")


_Item = Addressed[Message]


class MiuiChannel:
    """Sends by MiPush.

    Args:
        settings: of the channel file.
        clock: time.
        seconds: for one call.

    Attributes:
        batch: how many envelopes are best handed over at once.
    """

    batch = MAX_TARGETS

    def __init__(self, settings: MiuiSettings, clock: Clock, *, seconds: float = 15.0) -> None:
        self._settings = settings
        self._clock = clock
        self._secrets = (settings.app_secret,)
        self._headers = {"Authorization": f"key={settings.app_secret}"}
        self._http = HttpClient(
            settings.base_url or BASE_URL,
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            seconds=seconds,
            connections=4 * _AT_ONCE,
        )
        self._pauses = Pauses(clock, OF_A_KIND)
        self._underway = Underway()

    async def send(self, envelopes: Sequence[Envelope]) -> list[SendOutcome]:
        """Send; an outcome for each envelope, in their order."""
        outcomes: list[SendOutcome] = [Unknown()] * len(envelopes)
        renderer = Renderer(self._settings, self._clock.now_ms())

        def make(envelope: Envelope) -> Message | RateLimited:
            message = renderer.message(envelope)
            return self._pauses.limit(_channel(message)) or message

        items = addressed(envelopes, make, _TOKEN, outcomes)
        many: list[list[_Item]] = []
        few: list[list[_Item]] = []
        for same in items:
            (many if len(items) == 1 or len(same) >= _WORTH_A_LIST else few).append(same)
        # A channel that is not approved, or used up, is the fault of none but its own messages.
        mixed = grouped((item for same in few for item in same), lambda item: _channel(item.message))
        calls = [partial(self._deliver, part, outcomes) for same in many for part in chunked(same, MAX_TARGETS)]
        calls += [
            partial(self._deliver, part, outcomes)
            for same in mixed.values()
            for part in packed(same, MAX_TARGETS, _size, MAX_BYTES)
        ]
        with self._underway:
            await bounded(calls, _AT_ONCE)
        return outcomes

    async def recall(self, copies: Sequence[VendorCopy]) -> list[RecallOutcome]:
        """Take back by registration id and the number of the notification."""
        outcomes: list[RecallOutcome] = [RecallUnknown()] * len(copies)
        places = grouped(range(len(copies)), lambda place: notify_id(copies[place].msg_key))
        calls = [
            partial(self._recall, number, part, copies, outcomes)
            for number, same in places.items()
            for part in chunked(same, MAX_TARGETS)
        ]
        with self._underway:
            await bounded(calls, _AT_ONCE)
        return outcomes

    async def check(self) -> Check:
        """Ask for the quota, which needs the secret and reaches no device."""
        with self._underway:
            path = f"{QUOTA_PATH}?{urlencode({'restricted_package_name': self._settings.package_name})}"
            outcome = self._judged(await self._http.get(path, self._headers), ())
        return check_of(outcome, self._http.host)

    async def close(self) -> None:
        """Finish what is under way for a few seconds, and close all connections."""
        await self._underway.ended(_CLOSE_SECONDS)
        await self._http.close()

    async def _deliver(self, items: Sequence[_Item], outcomes: list[SendOutcome]) -> None:
        for item, outcome in zip(items, await told_apart(items, self._call, blames_some), strict=True):
            item.settle(blamed_on_message(outcome, OF_THE_MESSAGE, chosen=item.message.chosen), outcomes)

    async def _call(self, items: Sequence[_Item]) -> SendOutcome | list[SendOutcome]:
        tokens = [item.token for item in items]
        message = items[0].message
        if all(item.message is message for item in items):
            form = {**message.form(), "registration_id": ",".join(tokens)}
            outcome = self._judged(await self._http.post_form(LIST_PATH, form, self._headers), tokens)
            return _noted(self._pauses.noted(_channel(message), outcome), message)
        elements = [item.message.element(item.token) for item in items]
        form = {"messages": msgspec.json.encode(elements).decode()}
        answer = await self._http.post_form(MULTI_PATH, form, self._headers)
        outcome = self._judged(answer, tokens)
        if not isinstance(outcome, Accepted):
            return outcome
        return self._with_quotas(answer, items, outcome)

    def _judged(self, answer: HttpAnswer | HttpFailure, tokens: Sequence[str]) -> SendOutcome:
        """What an answer means for all messages of its call."""
        if isinstance(answer, HttpFailure):
            return outcome_of_failure(answer)
        said = answered(answer, "code")
        if said is None:
            return outcome_of_status(answer, self._clock)
        code, value = said
        parts = (value.get(name) for name in ("reason", "description"))
        text = scrub(" ".join(part for part in parts if isinstance(part, str) and part), (*tokens, *self._secrets))
        row = waiting(row_of(code, text), answer, self._clock)
        data = value.get("data")
        vendor_id = data.get("id") if isinstance(data, dict) else None
        outcome = outcome_of(row, code, text, self._clock, vendor_id_of(vendor_id))
        if isinstance(outcome, Accepted) and code != TAKEN:
            return Accepted(outcome.vendor_id, (f"{code} {row.meaning}",))
        return outcome

    def _with_quotas(
        self, answer: HttpAnswer | HttpFailure, items: Sequence[_Item], taken: Accepted
    ) -> SendOutcome | list[SendOutcome]:
        """Of a call with different messages of one channel: those above its day's quota were not taken."""
        channel, sent = _channel(items[0].message), len(items)
        over = _exceeded(answer).get(channel, 0)
        if over >= sent:
            return self._pauses.noted(channel, outcome_of(CODES[DAY_QUOTA], DAY_QUOTA, "", self._clock))
        if over:
            text = f"{over} of {sent} messages of a channel were over the day's quota; Xiaomi does not say which"
            return Unknown(DAY_QUOTA, text)
        return [_noted(taken, item.message) for item in items]

    async def _recall(
        self, number: int, places: Sequence[int], copies: Sequence[VendorCopy], outcomes: list[RecallOutcome]
    ) -> None:
        tokens = list(dict.fromkeys(copies[place].token for place in places))
        form = {
            "registration_ids": ",".join(tokens),
            "restricted_package_name": self._settings.package_name,
            "notify_id": str(number),
        }
        answer = await self._http.post_form(self._settings.revoke_path, form, self._headers)
        outcome = recall_outcome_of(self._judged(answer, tokens))
        for place in places:
            outcomes[place] = outcome


def _size(item: _Item) -> int:
    return len(item.message.encoded) + len(item.token)


def _channel(message: Message) -> str:
    """What quotas are counted by."""
    return message.extras.get("channel_id", NO_CHANNEL)


def _noted(outcome: SendOutcome, message: Message) -> SendOutcome:
    if isinstance(outcome, Accepted) and message.notes:
        return Accepted(outcome.vendor_id, (*outcome.notes, *message.notes))
    return outcome


def _exceeded(answer: HttpAnswer | HttpFailure) -> dict[str, int]:
    """How many messages of a channel were over its quota: `no_channel:2 a:3`."""
    value = answer.json() if isinstance(answer, HttpAnswer) else None
    data = value.get("data") if isinstance(value, dict) else None
    text = data.get("channel_exceed_quota") if isinstance(data, dict) else None
    found = _QUOTA.findall(text) if isinstance(text, str) else []
    return {channel: int(count) for channel, count in found}


def open_channel(settings: MiuiSettings, clock: Clock, *, seconds: float = 15.0) -> MiuiChannel:
    """The channel of an app.

    Args:
        settings: of the channel file.
        clock: time.
        seconds: for one call.
    """
    return MiuiChannel(settings, clock, seconds=seconds)
