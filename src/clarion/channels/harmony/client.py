"""The way of an app to the push gateway of HarmonyOS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clarion.channels.base import (
    Accepted,
    Check,
    InvalidToken,
    NotRecallable,
    PayloadError,
    Recalled,
    RecallOutcome,
    RecallUnknown,
    SendOutcome,
    VendorCopy,
)
from clarion.channels.batching import chunked, grouped
from clarion.channels.harmony.errors import (
    ALL_REFUSED,
    CODES,
    NO_RIGHT,
    OTHER_REASON,
    PARTIAL,
    REASONS,
    STRANGE_TOKEN,
    SUCCESS,
)
from clarion.channels.harmony.payload import ALERT, NAMES, render
from clarion.channels.harmony.settings import BASE_URL, HarmonySettings
from clarion.channels.harmony.signing import Signer
from clarion.channels.http import HttpClient
from clarion.channels.huawei_answers import NOBODY, STATUSES, all_named, checked, inner, named, opened, words
from clarion.channels.message import PushContent
from clarion.channels.multicast import MAX_TOKENS, REQUESTS, Multicast, Rendered, Said, Stamp
from clarion.channels.outcomes import VendorCode, outcome_of
from clarion.channels.text import notify_id
from clarion.channels.tokens import TokenSource
from clarion.clock import Clock

TEST_TOKENS = 10
"""Most tokens of a test message."""


def open_channel(settings: HarmonySettings, clock: Clock, *, seconds: float = 15.0) -> HarmonyChannel:
    """A channel; `seconds` is the longest that a call may take. Opens no connection yet."""
    return HarmonyChannel(settings, clock, seconds)


class HarmonyChannel(Multicast):
    """Sends by `messages:send` of version 3, at most 1,000 tokens a call (10 with test messages).

    Args:
        settings: the channel file.
        clock: time.
        seconds: for one call.
    """

    def __init__(self, settings: HarmonySettings, clock: Clock, seconds: float) -> None:
        self._settings = settings
        self._proven = False
        self.batch = TEST_TOKENS if settings.test_messages else MAX_TOKENS
        super().__init__(
            HttpClient(
                settings.base_url or BASE_URL, ca_file=settings.ca_file, proxy=settings.proxy, seconds=seconds
            ),
            TokenSource(Signer(settings.service_account, clock).fetch, clock),
            clock,
            codes=CODES,
            statuses=STATUSES,
            secrets=(settings.service_account.private_key,),
        )

    def path(self) -> str:
        return f"/v3/{self._settings.project_id}/messages:send"

    def render(self, content: PushContent, stamp: Stamp) -> Rendered:
        return render(self._settings, content, stamp)

    def read(self, answer: Mapping[str, Any]) -> Said | None:
        """An answer of version 3; when tokens are refused, `msg` is JSON with `illegalTokens` by reason."""
        envelope = opened(answer)
        if envelope is None:
            return None
        code, text, vendor_id = envelope
        if code not in (PARTIAL, ALL_REFUSED):
            return Said(code, words(text), vendor_id)
        told = inner(text)
        reasons = told.get("illegalTokens")
        refused = {
            token: REASONS.get(reason.strip(), OTHER_REASON)
            for reason, tokens in (reasons.items() if isinstance(reasons, dict) else ())
            for token in named(tokens)
        }
        return Said(code, words(text), vendor_id, refused, all_named(refused, told.get("failure")))

    def refusals(self, said: Said, tokens: Sequence[str]) -> Mapping[str, VendorCode]:
        """As the answer says; but a token without right is dead only if the settings are known to be right."""
        if said.code in (SUCCESS, PARTIAL) and any(token not in said.refused for token in tokens):
            self._proven = True
        if not self._proven:
            return said.refused
        no_right = REASONS[NO_RIGHT]
        return {token: STRANGE_TOKEN if row == no_right else row for token, row in said.refused.items()}

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Take back notifications that are not delivered yet, or shown and not tapped."""
        client_id = self._settings.client_id
        if client_id is None:
            return [_NEEDS_CLIENT_ID] * len(copies)
        outcomes: list[RecallOutcome] = [_NO_KEY] * len(copies)
        by_key = grouped((it for it in range(len(copies)) if copies[it].msg_key), lambda it: copies[it].msg_key)
        places = asyncio.Semaphore(REQUESTS)
        await asyncio.gather(
            *(
                self._recall_some(places, client_id, copies, positions, outcomes)
                for together in by_key.values()
                for positions in chunked(together, MAX_TOKENS)
            )
        )
        return outcomes

    async def check(self) -> Check:
        """Send a message to a token that no device has; what is said of the rest shows what is wrong."""
        form = render(self._settings, PushContent("Check", "Check"), Stamp(0, "", 60))
        called = await self.call(self.path(), form.body((NOBODY,)), form.headers)
        row = called.said.refused.get(NOBODY)
        if row is None:
            return checked(NAMES.vendor, called.outcome)
        return checked(NAMES.vendor, outcome_of(row, called.said.code, "", self._clock))

    async def _recall_some(
        self,
        places: asyncio.Semaphore,
        client_id: str,
        copies: Sequence[VendorCopy],
        positions: Sequence[int],
        outcomes: list[RecallOutcome],
    ) -> None:
        """Take one message back from at most 1,000 devices."""
        tokens = tuple(dict.fromkeys(copies[position].token for position in positions))
        body = msgspec.json.encode({"notifyId": notify_id(copies[positions[0]].msg_key), "token": tokens})
        async with places:
            called = await self.call(f"/v1/{client_id}/messages:revoke", body, ALERT, tokens)
        whole = _recalled(called.outcome, complete=called.said.complete)
        for position in positions:
            row = called.said.refused.get(copies[position].token)
            outcomes[position] = whole if row is None else NotRecallable(called.said.code, row.meaning)


_NEEDS_CLIENT_ID = NotRecallable(text="to take messages back, HarmonyOS needs `clientId` in the channel file")
_NO_KEY = NotRecallable(text="HarmonyOS takes back messages by their key, and this one has none")


def _recalled(outcome: SendOutcome, *, complete: bool) -> RecallOutcome:
    match outcome:
        case Accepted():
            return Recalled() if complete else RecallUnknown(text="some tokens were refused, and not named")
        case InvalidToken() | PayloadError():
            return NotRecallable(outcome.code, outcome.text)
        case _:
            return RecallUnknown(outcome.code, outcome.text)
