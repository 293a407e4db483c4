"""The way of an app to Honor's push gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clarion.channels.base import Check, NotRecallable, RecallOutcome, VendorCopy
from clarion.channels.honor.errors import CODES, DEAD_TOKEN, NAMING, PARTIAL, SUCCESS
from clarion.channels.honor.payload import NAMES, render
from clarion.channels.honor.settings import BASE_URL, TOKEN_URL, HonorSettings
from clarion.channels.http import HttpClient
from clarion.channels.huawei_answers import STATUSES, checked, client_credentials, named
from clarion.channels.message import PushContent
from clarion.channels.multicast import Multicast, Rendered, Said, Stamp
from clarion.channels.outcomes import code_of, vendor_id_of
from clarion.channels.tokens import TokenSource
from clarion.clock import Clock

_NO_RECALL = NotRecallable(text="Honor cannot take back what it has; a later message with the same key replaces it")


def open_channel(settings: HonorSettings, clock: Clock, *, seconds: float = 15.0) -> HonorChannel:
    """A channel; `seconds` is the longest that a call may take. Opens no connection yet."""
    return HonorChannel(settings, clock, seconds)


class HonorChannel(Multicast):
    """Sends by `sendMessage`, at most 1,000 tokens a call.

    Args:
        settings: the channel file.
        clock: time; Honor refuses requests whose time is far from its own.
        seconds: for one call.
    """

    def __init__(self, settings: HonorSettings, clock: Clock, seconds: float) -> None:
        self._settings = settings
        reach: dict[str, Any] = {"ca_file": settings.ca_file, "proxy": settings.proxy, "seconds": seconds}
        self._login = HttpClient(settings.token_url or TOKEN_URL, connections=1, **reach)
        fetch = client_credentials(self._login, settings.client_id, settings.client_secret)
        super().__init__(
            HttpClient(settings.base_url or BASE_URL, **reach),
            TokenSource(fetch, clock),
            clock,
            codes=CODES,
            statuses=STATUSES,
            secrets=(settings.client_secret,),
        )

    def path(self) -> str:
        return f"/api/v1/{self._settings.app_id}/sendMessage"

    def headers(self) -> Mapping[str, str]:
        return {"timestamp": str(self._clock.now_ms())}

    def render(self, content: PushContent, stamp: Stamp) -> Rendered:
        return render(self._settings, content, stamp)

    def read(self, answer: Mapping[str, Any]) -> Said | None:
        """An answer: `code` is a number; `data` has the tokens that were not taken."""
        code, text, data = code_of(answer.get("code")), answer.get("message"), answer.get("data")
        if code is None:
            return None
        told = data if isinstance(data, dict) else {}
        refused = named(told.get("failTokens")) | named(told.get("expireTokens")) if code in NAMING else ()
        complete = {SUCCESS: told.get("sendResult") is True, PARTIAL: bool(refused)}
        return Said(
            code,
            text if isinstance(text, str) else "",
            vendor_id_of(told.get("requestId")),
            dict.fromkeys(refused, DEAD_TOKEN),
            complete.get(code, True),
        )

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Not possible at Honor."""
        return [_NO_RECALL] * len(copies)

    async def check(self) -> Check:
        """Fetch an access token; Honor has no call that looks at a message without sending it."""
        access = await self.access()
        if isinstance(access, str):
            return Check(ok=True, text="Honor takes clientId and clientSecret; appId shows with the first message")
        return checked(NAMES.vendor, access)

    async def close(self) -> None:
        await super().close()
        await self._login.close()
