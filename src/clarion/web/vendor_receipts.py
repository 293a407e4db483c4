"""What vendors call over HTTP (docs/receipts.md): `POST /receipts/…`, at addresses that are secrets."""

from __future__ import annotations

from clarion.channels.base import ReceiptForged, ReceiptRefused
from clarion.channels.reports import MAX_BODY
from clarion.receipts.desk import Desk
from clarion.tenants.receipts import Recipient
from clarion.web.answers import BodyTooLarge, HttpRefusal, answer, read_body, refuse
from clarion.web.server import Receive, Scope, Send


class VendorReceipts:
    """Serves the paths under `/receipts/`.

    Args:
        desk: takes callbacks.
        body_seconds: how long a vendor may take to send a body.
    """

    def __init__(self, desk: Desk, body_seconds: float) -> None:
        self._desk = desk
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one callback."""
        recipient = await self._desk.find(scope["path"])
        try:
            await self._serve(recipient, scope, receive, send)
        except HttpRefusal as refusal:
            if self._desk.refuse(refusal.message, recipient):
                await refuse(send, refusal.status, refusal.code, refusal.message)
            else:
                await refuse(send, 429, "TooManyRequests", "too many requests were refused; wait a second")

    async def _serve(self, recipient: Recipient | None, scope: Scope, receive: Receive, send: Send) -> None:
        if recipient is None:
            raise HttpRefusal(404, "NotFound", "nothing is at this path")
        if scope["method"] != "POST":
            raise HttpRefusal(405, "MethodNotAllowed", "receipts are sent with POST")
        try:
            body = await read_body(receive, MAX_BODY, self._body_seconds)
        except BodyTooLarge as error:
            raise HttpRefusal(413, "BodyTooLarge", str(error)) from None
        except TimeoutError:
            raise HttpRefusal(408, "RequestTimeout", "the body did not arrive in time") from None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        try:
            status, text = await self._desk.take(recipient, headers, body)
        except ReceiptForged as error:
            raise HttpRefusal(403, "Forbidden", str(error)) from None
        except ReceiptRefused as error:
            raise HttpRefusal(400, "InvalidRequest", str(error)) from None
        await answer(send, status, text, b"application/json;charset=utf-8")
