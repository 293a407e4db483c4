"""What devices tell of their live activities: `POST /device/activity` (docs/link-protocol.md)."""

from __future__ import annotations

import msgspec

from clarion.devices.activities import ActivityService
from clarion.link.activities import ActivityAnswer, ActivityRequest, verify_activity
from clarion.results import Refusal
from clarion.web.answers import HttpRefusal, answer_json, read_json
from clarion.web.device_callers import DeviceCallers
from clarion.web.server import Receive, Scope, Send

_MAX_BODY = 4 * 1024
_decode = msgspec.json.Decoder(ActivityRequest).decode


class DeviceActivities:
    """Serves `/device/activity`.

    Args:
        callers: finds who calls.
        activities: keeps push tokens.
        body_seconds: how long a client may take to send a body.
    """

    def __init__(self, callers: DeviceCallers, activities: ActivityService, body_seconds: float) -> None:
        self._callers = callers
        self._activities = activities
        self._body_seconds = body_seconds

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            HttpRefusal: it is turned down.
        """
        request = await read_json(receive, _MAX_BODY, self._body_seconds, _decode)
        reporter = await self._callers.admit(request, verify_activity)
        expires_at: int | None = None
        if request.push_token is None:
            await self._activities.end(reporter.app, reporter.device, request.activity_id)
        else:
            try:
                expires_at = await self._activities.report(
                    reporter.app, reporter.device, request.activity_id, request.push_token
                )
            except Refusal as refusal:
                raise HttpRefusal(409, "TooManyActivities", refusal.message) from None
        await answer_json(send, 200, ActivityAnswer(expires_at))
