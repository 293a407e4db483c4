"""What a line holds: an envelope, with what is known of its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from clarion.channels.base import Envelope
from clarion.delivery.vendors.lanes import Lane


class PartOf(NamedTuple):
    """The part of a broadcast that an envelope belongs to.

    Attributes:
        part: number of its row.
        task: the broadcast.
        page: first device of the page that its devices are in; or the device, if it joined later.
        platform: label of the platform that the broadcast goes to.
        epoch: of the lease.
    """

    part: int
    task: int
    page: int
    platform: str
    epoch: int


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An envelope in a line.

    Attributes:
        envelope: what is to be sent.
        lane: how urgent it is.
        leased_until: until when this process has its row, ms.
        part: of a broadcast.
        cut_off: whether a process had it before that ended without a word.
        repeats: how often it was sent again although the vendor may have had it.
    """

    envelope: Envelope
    lane: Lane
    leased_until: int
    part: PartOf | None = None
    cut_off: bool = False
    repeats: int = 0


class Unsent(NamedTuple):
    """What a line that was closed leaves to others.

    Attributes:
        waiting: what it did not send, and what nobody else has leased.
        doubtful: numbers of parts some of whose devices were sent it, which could not be recorded.
    """

    waiting: Sequence[Waiting]
    doubtful: frozenset[int]
