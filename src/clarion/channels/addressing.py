"""Envelopes into messages and their devices, for vendors that take equal messages together."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from clarion.channels.base import ConfigError, Envelope, InvalidToken, PayloadError, RateLimited, SendOutcome
from clarion.channels.batching import blames_a_token, grouped
from clarion.channels.text import Unsendable

M = TypeVar("M")


class Addressed(msgspec.Struct, Generic[M], frozen=True):
    """A message for a device.

    Attributes:
        message: in the vendor's form; the same object for all devices that get the same.
        token: the vendor's token of the device.
        places: of its envelopes; several if one was given several times.
        again: whether it was sent before.
    """

    message: M
    token: str
    places: Sequence[int]
    again: bool

    def settle(self, outcome: SendOutcome, outcomes: list[SendOutcome]) -> None:
        """Write an outcome down for all envelopes."""
        _settle(self.places, outcome, outcomes)


def addressed(
    envelopes: Sequence[Envelope],
    make: Callable[[Envelope], M | RateLimited],
    token: re.Pattern[str],
    outcomes: list[SendOutcome],
) -> list[list[Addressed[M]]]:
    """The devices of each message; of what cannot be sent, the outcome is written down.

    Args:
        envelopes: those with the same content, message, key and end share a message.
        make: the message of an envelope, or the limit that it is under; raises `Unsendable`.
        token: what tokens look like that can stand in the vendor's lists.
        outcomes: by place of the envelope.
    """
    groups: list[list[Addressed[M]]] = []
    for same in grouped(range(len(envelopes)), lambda place: _likeness(envelopes[place])).values():
        try:
            made = make(envelopes[same[0]])
        except Unsendable as unsendable:
            _settle(same, PayloadError("", str(unsendable)), outcomes)
            continue
        if isinstance(made, RateLimited):
            _settle(same, made, outcomes)
            continue
        repeated = {envelopes[place].token for place in same if envelopes[place].attempt > 1}
        group: list[Addressed[M]] = []
        for text, places in grouped(same, lambda place: envelopes[place].token).items():
            if token.fullmatch(text):
                group.append(Addressed(made, text, places, text in repeated))
            else:
                _settle(places, _NO_TOKEN, outcomes)
        if group:
            groups.append(group)
    return groups


def blames_some(items: Sequence[Addressed[M]], outcome: SendOutcome) -> bool:
    """Whether a batch was refused for a token, or, of different messages, for what one of them says."""
    if isinstance(outcome, PayloadError):
        return any(item.message is not items[0].message for item in items)
    return blames_a_token(items, outcome)


def blamed_on_message(outcome: SendOutcome, codes: frozenset[str], *, chosen: bool) -> SendOutcome:
    """An outcome that stops no other messages when it is about what the caller has chosen for this one.

    Args:
        outcome: a `ConfigError` with one of `codes` becomes a `PayloadError`.
        codes: about a channel, category or template.
        chosen: whether the caller named it; else the channel file did.
    """
    if chosen and isinstance(outcome, ConfigError) and outcome.code in codes:
        return PayloadError(outcome.code, outcome.text)
    return outcome


_NO_TOKEN = InvalidToken(None, "", "a token with characters that this vendor's have not")


def _settle(places: Sequence[int], outcome: SendOutcome, outcomes: list[SendOutcome]) -> None:
    for place in places:
        outcomes[place] = outcome


def _likeness(envelope: Envelope) -> tuple[int, int, str, int, int]:
    """Equal for envelopes that differ in their device alone."""
    return id(envelope.content), envelope.message, envelope.msg_key, envelope.task, envelope.expires_at
