"""A channel to the simulator, short messages, and a short way to what arrived."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent, Sms
from clarion.channels.sms import SmsChannel, open_channel, parse
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from tests.channels.host import bodies, channel_file, gateway

NUMBER = "13800138000"
_tasks = count(1)


@asynccontextmanager
async def opened(
    folder: Path, clock: ManualClock, *, seconds: float = 5.0, **changes: Any
) -> AsyncIterator[tuple[Hall, SmsChannel]]:
    async with gateway("sms", folder, clock) as hall:
        channel = open_channel(parse(channel_file(hall, "sms", changes)), clock, seconds=seconds)
        try:
            yield hall, channel
        finally:
            await channel.close()


def numbers(amount: int) -> list[str]:
    """Phone numbers that differ."""
    return [f"139{number:08}" for number in range(amount)]


def text(params: Any = None, *, sign: str = "Clarion", template: str = "SMS_1") -> PushContent:
    """A push with a short message."""
    sms = Sms(1, sign, template, params if isinstance(params, str) else json.dumps(params or {"code": "1234"}))
    return PushContent("title", "content", sms=sms)


def push(content: PushContent, *tokens: str) -> list[Envelope]:
    """One push to some numbers."""
    task = next(_tasks)
    return [
        Envelope(task * 100 + place, place, token, f"k{place}", task, 2**50, content)
        for place, token in enumerate(tokens)
    ]


def calls(hall: Hall) -> Sequence[dict[str, str]]:
    """The parameters of the calls that arrived."""
    return [dict(parse_qsl(body, keep_blank_values=True)) for body in bodies(hall)]


def recipients(call: dict[str, str]) -> list[str]:
    """To whom a call is."""
    if call["Action"] == "SendSms":
        return call["PhoneNumbers"].split(",")
    return list(json.loads(call["PhoneNumberJson"]))
