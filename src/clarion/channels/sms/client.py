"""Sending through the SMS service: one call for many numbers, each with a signature of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.base import (
    Accepted,
    Check,
    ConfigError,
    Envelope,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RateLimited,
    RecallOutcome,
    Retry,
    SendOutcome,
    Unknown,
    VendorCopy,
)
from clarion.channels.batching import Underway, bounded, chunked, grouped
from clarion.channels.http import HttpClient
from clarion.channels.outcomes import VENDOR_ZONE, check_of
from clarion.channels.sms.errors import DENIED, OF_A_NUMBER, OF_A_SIGNATURE, OF_PARAMS, TAKEN, judged, said
from clarion.channels.sms.lookup import days_of, lists, question
from clarion.channels.sms.payload import MAX_BATCH, MAX_NUMBERS, VERSION, Item, Text, parameters, text_of
from clarion.channels.sms.phones import normalised
from clarion.channels.sms.settings import BASE_URL, SmsSettings
from clarion.channels.sms.signature import signed
from clarion.clock import Clock

_AT_ONCE = 8
_CLOSE_SECONDS = 5.0
_BLIND = 2
"""The attempt that is made although the service does not say whether it has the message; there is no other."""
_WORTH_A_CALL = 20
"""So many numbers with one text get a call of their own, also where there are other texts."""
_WORTH_A_BATCH = 10
"""Fewer different texts go one by one: the service is slower with batches, and it may be a one-time password."""

_NO_NUMBER = InvalidToken(None, "isv.MOBILE_NUMBER_ILLEGAL", "this is no phone number; it was not sent")
_NOT_RECALLABLE = NotRecallable("", "a short message cannot be taken back")
_HAD_IT = "the service says that it has it from an earlier try"
_NOT_SAID = "the service does not say whether it has it from an earlier try"
_NOBODY = "13000000000"
"""Whose messages a check asks for; there are hardly any, and none is shown."""


class SmsChannel:
    """The way of one app to the SMS service (`VendorChannel`). A token is a phone number.

    Args:
        settings: of the channel file.
        clock: for timestamps and limits.
        seconds: for one call.
        nonce: gives a new text for each call, also for one that is tried again.

    Attributes:
        batch: how many envelopes are best handed over at once.
    """

    batch = MAX_NUMBERS

    def __init__(
        self,
        settings: SmsSettings,
        clock: Clock,
        *,
        seconds: float = 15.0,
        nonce: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._nonce = nonce
        self._http = HttpClient(
            settings.base_url or BASE_URL,
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            seconds=seconds,
            connections=4 * _AT_ONCE,
        )
        self._underway = Underway()

    async def send(self, envelopes: Sequence[Envelope]) -> list[SendOutcome]:
        """Send; an outcome for each envelope. A number that comes twice with one push gets one message.

        What is not sent for the first time (`attempt`) may be with the service: it is asked first.
        """
        outcomes: list[SendOutcome] = [Unknown()] * len(envelopes)
        groups = _groups(envelopes, outcomes)
        with self._underway:
            groups = await self._without_known(groups, envelopes, outcomes)
            calls = [
                partial(self._deliver, items, outcomes)
                for same in grouped(groups, lambda group: group[0].text.template_code).values()
                for items in _calls(same)
            ]
            await bounded(calls, _AT_ONCE)
        return outcomes

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Nothing can be taken back."""
        return [_NOT_RECALLABLE] * len(copies)

    async def check(self) -> Check:
        """Ask what was sent to a number today, which sends nothing and costs nothing."""
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, VENDOR_ZONE).strftime("%Y%m%d")
        with self._underway:
            answer = await self._call(question(_NOBODY, today))
        code = "" if isinstance(answer, HttpFailure) else said(answer)[0]
        if code in DENIED:
            return Check(
                ok=True, text=f"{self._http.host} knows the access key; it may not query, nor was more tried"
            )
        # A query has no message's id, without which a sending would be in doubt.
        outcome = Accepted("") if code == TAKEN else judged(answer, self._clock, self._private(()))
        return check_of(outcome, self._http.host)

    async def close(self) -> None:
        """Finish what is under way for a few seconds, and close all connections."""
        await self._underway.ended(_CLOSE_SECONDS)
        await self._http.close()

    async def _without_known(
        self, groups: Sequence[list[Item]], envelopes: Sequence[Envelope], outcomes: list[SendOutcome]
    ) -> list[list[Item]]:
        """What is to be sent; of what is not, the outcome is written down."""
        settled = set()

        async def look(item: Item, attempt: int) -> None:
            outcome = await self._earlier(item, attempt)
            if outcome is not None:
                settled.add(item.places[0])
                for place in item.places:
                    outcomes[place] = outcome

        attempts = [
            (item, max(envelopes[place].attempt for place in item.places)) for group in groups for item in group
        ]
        await bounded([partial(look, item, attempt) for item, attempt in attempts if attempt > 1], _AT_ONCE)
        left = [[item for item in group if item.places[0] not in settled] for group in groups]
        return [group for group in left if group]

    async def _earlier(self, item: Item, attempt: int) -> SendOutcome | None:
        """What became of an earlier try; None if the message is to be sent."""
        for day in days_of(item.text.task, self._clock.now_ms()):
            answer = await self._call(question(item.number, day))
            code, value = ("", {}) if isinstance(answer, HttpFailure) else said(answer)
            listed = lists(value, item.text) if code == TAKEN else None
            if listed:
                return Accepted("", (_HAD_IT,))
            if listed is None:
                return self._unanswered(code, answer, item, attempt)
        return None

    def _unanswered(
        self, code: str, answer: HttpAnswer | HttpFailure, item: Item, attempt: int
    ) -> SendOutcome | None:
        outcome = judged(answer, self._clock, self._private((item.number,)))
        if code in DENIED or isinstance(outcome, PayloadError | InvalidToken):
            return None if attempt == _BLIND else Unknown(code, _NOT_SAID)
        if isinstance(outcome, RateLimited | ConfigError):
            return outcome
        return Retry(None, code, _NOT_SAID)

    async def _deliver(self, items: Sequence[Item], outcomes: list[SendOutcome]) -> None:
        for item, outcome in zip(items, await self._told_apart(items), strict=True):
            for place in item.places:
                outcomes[place] = outcome

    async def _told_apart(self, items: Sequence[Item]) -> list[SendOutcome]:
        """Send with one call; one that is refused for one message was not carried out, and is halved."""
        answer = await self._call(parameters(items, self._settings.extend_code))
        outcome = judged(answer, self._clock, self._private(item.number for item in items))
        if len(items) == 1 or not _of_some(outcome, items):
            return [outcome] * len(items)
        middle = len(items) // 2
        parts = await asyncio.gather(self._told_apart(items[:middle]), self._told_apart(items[middle:]))
        return [*parts[0], *parts[1]]

    async def _call(self, wanted: dict[str, str]) -> HttpAnswer | HttpFailure:
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        common = {
            "Format": "JSON",
            "RegionId": self._settings.region,
            "AccessKeyId": self._settings.access_key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": self._nonce(),
            "Timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Version": VERSION,
        }
        return await self._http.post_form(
            "/", signed("POST", {**common, **wanted}, self._settings.access_key_secret)
        )

    def _private(self, numbers: Iterable[str]) -> tuple[str, ...]:
        return (self._settings.access_key_secret, *numbers)


def _groups(envelopes: Sequence[Envelope], outcomes: list[SendOutcome]) -> list[list[Item]]:
    """The numbers of each text; of what cannot be sent, the outcome is written down."""
    groups = []
    places = grouped(range(len(envelopes)), lambda place: (id(envelopes[place].content), envelopes[place].task))
    for same in places.values():
        first = envelopes[same[0]]
        text = text_of(first.content.sms, first.task)
        items = []
        for number, where in grouped(same, lambda place: normalised(envelopes[place].token)).items():
            if isinstance(text, Text) and number is not None:
                items.append(Item(text, number, where))
                continue
            for place in where:
                outcomes[place] = text if isinstance(text, PayloadError) else _NO_NUMBER
        groups.append(items)
    return [group for group in groups if group]


def _of_some(outcome: SendOutcome, items: Sequence[Item]) -> bool:
    """Whether a call may have been refused for some of its messages, and others be good."""
    code = getattr(outcome, "code", "")
    if code in OF_A_NUMBER:
        return True
    if code in OF_PARAMS:
        return any(item.text is not items[0].text for item in items)
    return code in OF_A_SIGNATURE and any(item.text.sign_name != items[0].text.sign_name for item in items)


def _calls(groups: Sequence[list[Item]]) -> list[Sequence[Item]]:
    """Which items of one template go with one call."""
    calls: list[Sequence[Item]] = []
    mixed: list[Item] = []
    for group in groups:
        if len(groups) == 1 or len(group) >= _WORTH_A_CALL:
            calls += chunked(group, MAX_NUMBERS)
        else:
            mixed += group
    return calls + chunked(mixed, 1 if len(mixed) < _WORTH_A_BATCH else MAX_BATCH)


def open_channel(settings: SmsSettings, clock: Clock, *, seconds: float = 15.0) -> SmsChannel:
    """The channel of an app.

    Args:
        settings: of the channel file.
        clock: for timestamps and limits.
        seconds: for one call.

    Raises:
        OSError: `caFile` cannot be read, or holds no certificates.
    """
    return SmsChannel(settings, clock, seconds=seconds)
