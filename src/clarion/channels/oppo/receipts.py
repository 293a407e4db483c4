"""Callbacks of OPPO: a JSON array of events. Pure.

They bear no signature; the address that they come to has to be a secret. They may come twice, late, or before the
answer to the message.
"""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.base import Receipt, ReceiptRefused
from clarion.channels.oppo.errors import EVENTS, OTHER_EVENT
from clarion.channels.oppo.settings import OppoSettings
from clarion.channels.reports import bounded, decoded, moment, receipts_of, word, words

RECEIPT_ANSWER = b'{"code":0}'
"""Any answer with HTTP 200 will do."""
RECEIPT_URL_BYTES = 200
"""Longest address, which each message tells."""


def parse_receipts(
    headers: Mapping[str, str],  # noqa: ARG001
    body: bytes,
    settings: OppoSettings,  # noqa: ARG001
    now: int,
) -> list[Receipt]:
    """What a callback tells.

    Args:
        headers: of the request; OPPO has none of its own.
        body: as it came.
        settings: of the app that the address belongs to.
        now: the time of events that have none, ms.

    Raises:
        ReceiptRefused: it is no callback of OPPO.
    """
    events = decoded(body)
    if not isinstance(events, list):
        raise ReceiptRefused("a callback that is no list of events")
    receipts: list[Receipt] = []
    for event in events:
        code = word(event.get("eventType")) if isinstance(event, dict) else ""
        if not code:
            continue
        kind, meaning = EVENTS.get(code, OTHER_EVENT)
        receipts += receipts_of(
            word(event.get("messageId")),
            words(event.get("registrationIds")),
            kind,
            code,
            meaning,
            moment(event.get("eventTime"), now),
            word(event.get("param")),
        )
    return bounded(receipts)
