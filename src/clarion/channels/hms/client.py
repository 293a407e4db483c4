"""The way of an app to Huawei's push gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clarion.channels.base import Check, NotRecallable, RecallOutcome, VendorCopy
from clarion.channels.hms.errors import CODES, DEAD_TOKEN, PARTIAL
from clarion.channels.hms.payload import NAMES, render
from clarion.channels.hms.settings import BASE_URL, TOKEN_URL, HmsSettings
from clarion.channels.http import HttpClient
from clarion.channels.huawei_answers import (
    NOBODY,
    STATUSES,
    all_named,
    checked,
    client_credentials,
    inner,
    named,
    opened,
    words,
)
from clarion.channels.message import PushContent
from clarion.channels.multicast import Multicast, Rendered, Said, Stamp
from clarion.channels.tokens import TokenSource
from clarion.clock import Clock

_NO_RECALL = NotRecallable(
    text="Huawei cannot take back what it has; a later message with the same key replaces it"
)


def open_channel(settings: HmsSettings, clock: Clock, *, seconds: float = 15.0) -> HmsChannel:
    """A channel; `seconds` is the longest that a call may take. Opens no connection yet."""
    return HmsChannel(settings, clock, seconds)


class HmsChannel(Multicast):
    """Sends by `messages:send`, at most 1,000 tokens a call.

    Args:
        settings: the channel file.
        clock: time.
        seconds: for one call.
    """

    def __init__(self, settings: HmsSettings, clock: Clock, seconds: float) -> None:
        self._settings = settings
        reach: dict[str, Any] = {"ca_file": settings.ca_file, "proxy": settings.proxy, "seconds": seconds}
        self._login = HttpClient(settings.token_url or TOKEN_URL, connections=1, **reach)
        fetch = client_credentials(self._login, settings.app_id, settings.app_secret)
        super().__init__(
            HttpClient(settings.base_url or BASE_URL, **reach),
            TokenSource(fetch, clock),
            clock,
            codes=CODES,
            statuses=STATUSES,
            secrets=(settings.app_secret,),
        )

    def path(self) -> str:
        return f"/v1/{self._settings.app_id}/messages:send"

    def render(self, content: PushContent, stamp: Stamp) -> Rendered:
        return render(self._settings, content, stamp)

    def read(self, answer: Mapping[str, Any]) -> Said | None:
        """An answer of version 1; with partial success, `msg` is JSON with `illegal_tokens`."""
        envelope = opened(answer)
        if envelope is None:
            return None
        code, text, vendor_id = envelope
        if code != PARTIAL:
            return Said(code, words(text), vendor_id)
        told = inner(text)
        refused = named(told.get("illegal_tokens", told.get("illegalTokens")))
        return Said(
            code, "", vendor_id, dict.fromkeys(refused, DEAD_TOKEN), all_named(refused, told.get("failure"))
        )

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Not possible at Huawei."""
        return [_NO_RECALL] * len(copies)

    async def check(self) -> Check:
        """Fetch an access token, and have Huawei look at a message that it does not send."""
        form = render(self._settings, PushContent("Check", "Check"), Stamp(0, "", 60), validate_only=True)
        called = await self.call(self.path(), form.body((NOBODY,)), form.headers)
        return checked(NAMES.vendor, called.outcome)

    async def close(self) -> None:
        await super().close()
        await self._login.close()
