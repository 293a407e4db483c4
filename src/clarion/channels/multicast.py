"""Vendors that take one message for a list of tokens: who goes together, access tokens, answers, bounds.

A vendor's channel says how a message looks, what codes mean and how answers read; the rest is here.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.base import (
    Accepted,
    Check,
    ConfigError,
    Envelope,
    InvalidToken,
    PayloadError,
    RateLimited,
    RecallOutcome,
    Retry,
    SendOutcome,
    Unknown,
    VendorCopy,
)
from clarion.channels.batching import chunked
from clarion.channels.http import HttpClient
from clarion.channels.message import PushContent
from clarion.channels.outcomes import (
    Treatment,
    VendorCode,
    outcome_of,
    outcome_of_failure,
    outcome_of_status,
    scrub,
    waiting,
)
from clarion.channels.text import Unsendable
from clarion.channels.tokens import TokenRefused, TokenSource
from clarion.clock import Clock

MAX_TOKENS = 1_000
"""Most tokens of a request."""
REQUESTS = 8
"""Most at once for one hand-over of messages."""

_CLOSE_SECONDS = 5.0
_MAX_WORDS = 4_096

FLOW_CONTROL = frozenset((429, 503))
"""HTTP statuses that limit the rate, whatever the body says."""


class Stamp(NamedTuple):
    """What a message has besides its content.

    Attributes:
        task: id of the task.
        msg_key: the caller's message key.
        ttl: seconds that it stays valid, at least 1.
    """

    task: int
    msg_key: str
    ttl: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """A request without its tokens.

    Attributes:
        head: JSON up to the list of tokens.
        tail: JSON after it.
        notes: what the vendor has no place for.
        headers: of the request, that depend on the message.
        instead: by vendor code, a poorer form to send once when the vendor refuses this one so.
        chosen: refusals for what this message itself has chosen; they stop no others.
    """

    head: bytes
    tail: bytes
    notes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, Rendered] = field(default_factory=dict)
    chosen: frozenset[VendorCode] = frozenset()

    @property
    def size(self) -> int:
        """Bytes without the tokens."""
        return len(self.head) + len(b"[]") + len(self.tail)

    def body(self, tokens: Sequence[str]) -> bytes:
        """The whole request."""
        return b"".join((self.head, msgspec.json.encode(tokens), self.tail))


@dataclass(frozen=True, slots=True)
class Said:
    """A vendor's answer, read.

    Attributes:
        code: the vendor's.
        text: its words; empty if they are for programs.
        vendor_id: name of the request there.
        refused: tokens that were not taken, with why.
        complete: whether `refused` has all of them.
    """

    code: str
    text: str = ""
    vendor_id: str = ""
    refused: Mapping[str, VendorCode] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call.

    Attributes:
        outcome: of all tokens but those that `said` names as refused.
        said: the vendor's answer; with no code if there is none.
        row: of the table of codes; None if the answer has no code that is known.
    """

    outcome: SendOutcome
    said: Said = field(default_factory=lambda: Said(""))
    row: VendorCode | None = None


@dataclass(slots=True)
class _Group:
    """Envelopes of one form: their positions by token."""

    form: Rendered
    positions: dict[str, list[int]] = field(default_factory=dict)


_Results = Mapping[str, SendOutcome]


class Multicast(ABC):
    """A channel to such a vendor.

    Args:
        http: calls the vendor.
        tokens: access tokens for it.
        clock: time.
        codes: what the vendor's codes mean.
        statuses: what HTTP statuses mean when the body has no code that is known.
        secrets: texts that no outcome may have.
    """

    batch = MAX_TOKENS

    def __init__(
        self,
        http: HttpClient,
        tokens: TokenSource,
        clock: Clock,
        *,
        codes: Mapping[str, VendorCode],
        statuses: Mapping[int, VendorCode],
        secrets: Iterable[str],
    ) -> None:
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._codes = codes
        self._statuses = statuses
        self._secrets = tuple(secrets)
        self._tasks: set[asyncio.Task[_Results]] = set()

    @abstractmethod
    def render(self, content: PushContent, stamp: Stamp) -> Rendered:
        """The form of a message.

        Raises:
            Unsendable: the vendor will never take it.
        """

    @abstractmethod
    def path(self) -> str:
        """Path of the call that sends."""

    @abstractmethod
    def read(self, answer: Mapping[str, Any]) -> Said | None:
        """An answer's JSON object; None if it is not one of this vendor."""

    @abstractmethod
    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Take messages back; see `VendorChannel.recall`."""

    @abstractmethod
    async def check(self) -> Check:
        """Try the credentials without reaching any device."""

    def headers(self) -> Mapping[str, str]:
        """Further headers of a call."""
        return {}

    def refusals(self, said: Said, tokens: Sequence[str]) -> Mapping[str, VendorCode]:  # noqa: ARG002
        """Which tokens were refused, and why; `tokens` are all of the request."""
        return said.refused

    async def send(self, envelopes: Sequence[Envelope]) -> Sequence[SendOutcome]:
        """Send; see `VendorChannel.send`. A token that comes twice with the same message gets it once."""
        outcomes: list[SendOutcome] = [_LOST] * len(envelopes)
        batches = [
            (group, tokens)
            for group in self._grouped(envelopes, outcomes)
            for tokens in chunked(tuple(group.positions), self.batch)
        ]
        results = await self._all([(group.form, tokens) for group, tokens in batches])
        for (group, _), by_token in zip(batches, results, strict=True):
            for token, outcome in by_token.items():
                for position in group.positions[token]:
                    outcomes[position] = outcome
        return outcomes

    async def close(self) -> None:
        """Finish what is under way for a few seconds, and close all connections."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()
        await self._http.close()

    async def access(self) -> str | ConfigError | Retry:
        """An access token; or why there is none."""
        try:
            return await self._tokens.get()
        except TokenRefused as refused:
            kind = ConfigError if refused.final else Retry
            return kind(code=refused.code, text=scrub(refused.text, self._secrets))

    async def call(self, path: str, body: bytes, headers: Mapping[str, str], tokens: Sequence[str] = ()) -> Called:
        """Make a call; once more with a new access token if the vendor does not take the one at hand.

        Args:
            path: below the base address.
            body: JSON.
            headers: besides those of every call.
            tokens: of devices, which no text may have.
        """
        called = Called(_LOST)
        for _ in range(2):
            access = await self.access()
            if not isinstance(access, str):
                return Called(access)
            sent = {
                "Content-Type": "application/json; charset=UTF-8",
                "Authorization": f"Bearer {access}",
                **self.headers(),
                **headers,
            }
            answer = await self._http.post(path, body, sent)
            if isinstance(answer, HttpFailure):
                failed = outcome_of_failure(answer)
                return Called(replace(failed, text=scrub(failed.text, (*self._secrets, *tokens))))
            called = self._understood(answer, (*self._secrets, access, *tokens))
            if called.row is None or called.row.treatment is not Treatment.AUTH_REFRESH:
                break
            self._tokens.invalidate(access)
        return called

    def _grouped(self, envelopes: Sequence[Envelope], outcomes: list[SendOutcome]) -> list[_Group]:
        """Envelopes by the form of their message; `outcomes` gets what is decided already."""
        now = self._clock.now_ms()
        forms: dict[tuple[int, int, str, int], Rendered | PayloadError] = {}
        groups: dict[tuple[bytes, bytes], _Group] = {}
        for position, envelope in enumerate(envelopes):
            key = (id(envelope.content), envelope.task, envelope.msg_key, envelope.expires_at)
            form = forms.get(key)
            if form is None:
                form = forms[key] = self._form(envelope, now)
            if not isinstance(form, Rendered):
                outcomes[position] = form
            elif not envelope.token:
                outcomes[position] = _NO_TOKEN
            else:
                group = groups.setdefault((form.head, form.tail), _Group(form))
                group.positions.setdefault(envelope.token, []).append(position)
        return list(groups.values())

    def _form(self, envelope: Envelope, now: int) -> Rendered | PayloadError:
        if envelope.expires_at <= now:
            return _EXPIRED
        stamp = Stamp(envelope.task, envelope.msg_key, max(1, (envelope.expires_at - now) // 1000))
        try:
            return self.render(envelope.content, stamp)
        except Unsendable as error:
            return PayloadError(text=str(error))

    async def _all(self, batches: Sequence[tuple[Rendered, Sequence[str]]]) -> list[_Results]:
        # Each has places of its own, so that a single message need not wait for a thousand different ones.
        places = asyncio.Semaphore(REQUESTS)
        tasks = [asyncio.create_task(self._in_turn(places, form, tokens)) for form, tokens in batches]
        self._tasks.update(tasks)
        try:
            return await asyncio.gather(*tasks)
        finally:
            self._tasks.difference_update(tasks)

    async def _in_turn(self, places: asyncio.Semaphore, form: Rendered, tokens: Sequence[str]) -> _Results:
        async with places:
            return await self._delivered(form, tokens)

    async def _delivered(self, form: Rendered, tokens: Sequence[str]) -> _Results:
        """Send a form to at most `batch` tokens."""
        called = await self.call(self.path(), form.body(tokens), form.headers, tokens)
        said = called.said
        if said.code in form.instead:
            return await self._delivered(form.instead[said.code], tokens)
        whole = called.outcome
        if isinstance(whole, Accepted):
            whole = Accepted(said.vendor_id, form.notes) if said.complete else _SOME
        elif called.row in form.chosen:
            whole = PayloadError(whole.code, whole.text)
        refused = self.refusals(said, tokens)
        single = {
            row: PayloadError(said.code, row.meaning)
            if row in form.chosen
            else outcome_of(row, said.code, "", self._clock)
            for row in dict.fromkeys(refused.values())
        }
        return {token: single[refused[token]] if token in refused else whole for token in tokens}

    def _understood(self, answer: HttpAnswer, secrets: Sequence[str]) -> Called:
        value = answer.json()
        said = self.read(value) if isinstance(value, dict) else None
        row = self._codes.get(said.code) if said is not None else None
        if said is None or answer.status in FLOW_CONTROL or (row is None and answer.status >= 300):
            return self._by_status(answer, said)
        if row is not None and row.treatment is Treatment.ACCEPTED and answer.status >= 300:
            return Called(Unknown(said.code, f"HTTP status {answer.status} with a code of success"))
        words = scrub(said.text, secrets) if len(said.text) <= _MAX_WORDS else ""
        if row is None:
            return Called(
                PayloadError(said.code, words or "the vendor refuses it, with a code not known here"), said
            )
        outcome = outcome_of(waiting(row, answer, self._clock), said.code, words, self._clock, said.vendor_id)
        if isinstance(outcome, Retry):
            outcome = replace(outcome, after=answer.retry_after(self._clock))
        return Called(outcome, said, row)

    def _by_status(self, answer: HttpAnswer, said: Said | None) -> Called:
        # Such an answer says nothing of single tokens.
        said = Said(said.code if said else "")
        row = self._statuses.get(answer.status)
        if answer.status == 504:  # the gateway gave up waiting; what is behind it may not have
            return Called(Unknown("504", "the vendor's gateway had no answer in time"), said)
        if row is None:
            return Called(outcome_of_status(answer, self._clock), said)
        outcome = outcome_of(row, said.code or str(answer.status), "", self._clock)
        wait = answer.retry_after(self._clock)
        if wait is not None and isinstance(outcome, RateLimited):
            outcome = replace(outcome, until=self._clock.now_ms() + int(1000 * wait))
        elif isinstance(outcome, Retry):
            outcome = replace(outcome, after=wait)
        return Called(outcome, said, row)


_LOST = Unknown(text="the program's own fault: no outcome")
_SOME = Unknown(text="the vendor took some tokens and refused others, and does not say which")
_NO_TOKEN = InvalidToken(text="the device has no token")
_EXPIRED = PayloadError(text="its validity ended before it could be sent")
