"""The channel: which messages go together, what vivo says, and what that means for each."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import time
from functools import partial
from hashlib import md5
from typing import Any

from clarion.channels.addressing import Addressed, addressed, blamed_on_message
from clarion.channels.authorized import Judge, Judged, authorized, checked
from clarion.channels.base import (
    Accepted,
    Check,
    Envelope,
    NotRecallable,
    RateLimited,
    RecallOutcome,
    Retry,
    SendOutcome,
    Unknown,
    VendorCopy,
)
from clarion.channels.batching import Underway, bounded, grouped, told_apart
from clarion.channels.http import HttpClient
from clarion.channels.outcomes import UNLISTED, code_of, next_time, outcome_of, recall_outcome_of, vendor_id_of
from clarion.channels.pauses import Pauses
from clarion.channels.tokens import AccessToken, TokenSource
from clarion.channels.vivo.errors import INVALID_USERS, OF_A_KIND, OF_THE_MESSAGE, OUT_OF_HOURS, row_of
from clarion.channels.vivo.payload import Message, Renderer, request_id
from clarion.channels.vivo.settings import BASE_URL, VivoSettings
from clarion.clock import Clock

AUTH_PATH = "/message/auth"
SINGLE_PATH = "/message/send"
SAVE_PATH = "/message/saveListPayload"
LIST_PATH = "/message/pushToList"
MIN_LIST, MAX_LIST = 2, 1000

_AT_ONCE = 16
_TOKEN_SECONDS = 7200.0
"""An access token is good for a day; vivo wants it to be renewed every hour or two."""
_RENEWED_EARLY = 600.0
_CLOSE_SECONDS = 5.0
_MORNING = time(7)
_TOKEN = re.compile(r"[!-+\--~]{1,512}")  # printable ASCII without the comma


_Item = Addressed[Message]


class VivoChannel:
    """Sends by vivo Push.

    Args:
        settings: of the channel file.
        clock: time.
        seconds: for one call.

    Attributes:
        batch: how many envelopes are best handed over at once.
    """

    batch = MAX_LIST

    def __init__(self, settings: VivoSettings, clock: Clock, *, seconds: float = 15.0) -> None:
        self._settings = settings
        self._clock = clock
        base = settings.base_url or BASE_URL
        self._http, self._auth = (
            HttpClient(
                url, ca_file=settings.ca_file, proxy=settings.proxy, seconds=seconds, connections=2 * _AT_ONCE
            )
            for url in (base, settings.token_url or base.rstrip("/") + AUTH_PATH)
        )
        self._tokens = TokenSource(self._fetch, clock, early=_RENEWED_EARLY)
        rows = partial(_row, testing=settings.push_mode == 1)
        self._judge = Judge("result", "desc", rows, (settings.app_secret, settings.app_key), clock)
        self._pauses = Pauses(clock, OF_A_KIND)
        self._underway = Underway()

    async def send(self, envelopes: Sequence[Envelope]) -> list[SendOutcome]:
        """Send; an outcome for each envelope, in their order."""
        outcomes: list[SendOutcome] = [Unknown()] * len(envelopes)
        calls: list[Callable[[], Awaitable[None]]] = []
        renderer = Renderer(self._settings, self._clock.now_ms())
        for items in addressed(envelopes, renderer.message, _TOKEN, outcomes):
            deliver = self._deliver_list if len(items) >= MIN_LIST else self._deliver
            calls.append(partial(deliver, items, outcomes))
        with self._underway:
            await bounded(calls, _AT_ONCE)
        return outcomes

    async def recall(self, copies: Sequence[VendorCopy]) -> list[RecallOutcome]:
        """Take back by task id, if the call for it is set up."""
        outcomes: list[RecallOutcome] = [_NO_RECALL] * len(copies)
        if self._settings.recall_path is None:
            return outcomes
        tasks = grouped(range(len(copies)), lambda place: copies[place].vendor_id)
        calls = [partial(self._recall, task, places, outcomes) for task, places in tasks.items() if task]
        with self._underway:
            await bounded(calls, _AT_ONCE)
        return outcomes

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
        settings, timestamp = self._settings, self._clock.now_ms()
        signed = f"{settings.app_number}{settings.app_key}{timestamp}{settings.app_secret}"
        sign = md5(signed.encode(), usedforsecurity=False).hexdigest()
        body = {"appId": settings.app_number, "appKey": settings.app_key, "timestamp": timestamp, "sign": sign}
        answer = await self._auth.post_json("", body)
        return self._judge.token(answer, sign, lambda value: value.get("authToken"), _TOKEN_SECONDS)

    async def _deliver_list(self, items: Sequence[_Item], outcomes: list[SendOutcome]) -> None:
        """Save a message, and push it to lists of devices."""
        message = items[0].message
        judged = await self._call(SAVE_PATH, message.listed(), message.classification)
        task = vendor_id_of(judged.value.get("taskId"))
        if isinstance(judged.outcome, Accepted) and task:
            deliveries = [partial(self._deliver, part, outcomes, task) for part in parts(items)]
            await bounded(deliveries, _AT_ONCE)
            return
        # Whatever became of saving it: nothing was pushed.
        outcome = judged.outcome
        if isinstance(outcome, Accepted | Unknown):
            outcome = Retry(None, getattr(outcome, "code", ""), "vivo gave no task id for the message")
        for item in items:
            item.settle(_final(outcome, message), outcomes)

    async def _deliver(self, items: Sequence[_Item], outcomes: list[SendOutcome], task: str = "") -> None:
        for item, outcome in zip(items, await told_apart(items, partial(self._push, task)), strict=True):
            item.settle(_final(outcome, item.message), outcomes)

    async def _push(self, task: str, items: Sequence[_Item]) -> SendOutcome | list[SendOutcome]:
        message, tokens = items[0].message, [item.token for item in items]
        if len(items) < MIN_LIST:
            body = message.to(tokens[0])
            judged = await self._call(SINGLE_PATH, body, message.classification, tokens)
            users, task = [judged.value.get("invalidUser")], vendor_id_of(judged.value.get("taskId"))
        else:
            body = {
                "appId": self._settings.app_number,
                "taskId": task,
                "regIds": tokens,
                "requestId": request_id(message.number, *sorted(tokens)),
            }
            judged = await self._call(LIST_PATH, body, message.classification, tokens)
            told = judged.value.get("invalidUsers")
            users = told if isinstance(told, list) else []
        if not isinstance(judged.outcome, Accepted):
            return judged.outcome
        refused = self._refused(users, tokens)
        return [refused.get(token, Accepted(task)) for token in tokens]

    def _refused(self, users: Sequence[Any], tokens: Sequence[str]) -> dict[str, SendOutcome]:
        """The devices of a call that succeeded for the others."""
        refused: dict[str, SendOutcome] = {}
        for user in users:
            status = user.get("status") if isinstance(user, dict) else None
            if status in (None, 0, "0"):
                continue
            code = code_of(status) or ""
            token = user.get("userid") or (tokens[0] if len(tokens) == 1 else "")
            if isinstance(token, str):
                refused[token] = outcome_of(INVALID_USERS.get(code, UNLISTED), code, "", self._clock)
        return refused

    async def _call(
        self, path: str, body: Mapping[str, Any], classification: str, tokens: Sequence[str] = ()
    ) -> Judged:
        """Make a call, unless messages of this kind have to wait."""
        limit = self._pauses.limit(classification)
        if limit is not None:
            return Judged(limit)

        async def call(token: str) -> Judged:
            answer = await self._http.post_json(path, body, {"authToken": token})
            return self._judge.judge(answer, (*tokens, token))

        judged = await authorized(self._tokens, call)
        outcome = judged.outcome
        if isinstance(outcome, RateLimited) and outcome.code == OUT_OF_HOURS:
            outcome = replace(outcome, until=next_time(self._clock.now_ms(), _MORNING))
        return replace(judged, outcome=self._pauses.noted(classification, outcome))

    async def _recall(self, task: str, places: Sequence[int], outcomes: list[RecallOutcome]) -> None:
        body = {"appId": self._settings.app_number, "taskId": task, "requestId": request_id("recall", task)}

        async def call(token: str) -> Judged:
            answer = await self._http.post_json(self._settings.recall_path or "", body, {"authToken": token})
            return self._judge.judge(answer, (token,))

        outcome = recall_outcome_of((await authorized(self._tokens, call)).outcome)
        for place in places:
            outcomes[place] = outcome


_NO_RECALL = NotRecallable("", "vivo's call to take messages back is not set up (recallPath)")


def _row(code: str, _: str, *, testing: bool) -> Any:
    return row_of(code, testing=testing)


def _final(outcome: SendOutcome, message: Message) -> SendOutcome:
    """An outcome with the message's notes."""
    if isinstance(outcome, Accepted) and message.notes:
        return Accepted(outcome.vendor_id, message.notes)
    return blamed_on_message(outcome, OF_THE_MESSAGE, chosen=message.chosen)


def parts(items: Sequence[_Item]) -> list[Sequence[_Item]]:
    """Lists of at most `MAX_LIST` and at least `MIN_LIST`; 1001 are 999 and 2."""
    cuts = list(range(MAX_LIST, len(items), MAX_LIST))
    if len(items) % MAX_LIST == 1 and cuts:
        cuts[-1] -= 1
    return [items[start:end] for start, end in zip([0, *cuts], [*cuts, len(items)], strict=True)]


def open_channel(settings: VivoSettings, clock: Clock, *, seconds: float = 15.0) -> VivoChannel:
    """The channel of an app.

    Args:
        settings: of the channel file.
        clock: time.
        seconds: for one call.
    """
    return VivoChannel(settings, clock, seconds=seconds)
