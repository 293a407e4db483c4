"""Callbacks of vivo: a JSON object of acks by task id. Pure.

They bear no signature; the address that they come to has to be a secret. They may come twice, late, or before the
answer to the message. vivo makes them for messages to single devices only.
"""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.base import Receipt, ReceiptRefused
from clarion.channels.reports import bounded, decoded, moment, receipts_of, word, words
from clarion.channels.vivo.errors import ACKS, OTHER
from clarion.channels.vivo.settings import VivoSettings

RECEIPT_ANSWER = b'{"code":0}'
"""Any answer with HTTP 200 will do."""
RECEIPT_URL_BYTES = 128
"""Longest address, which each message tells."""


def parse_receipts(
    headers: Mapping[str, str],  # noqa: ARG001
    body: bytes,
    settings: VivoSettings,  # noqa: ARG001
    now: int,
) -> list[Receipt]:
    """What a callback tells.

    Args:
        headers: of the request; vivo has none of its own.
        body: as it came.
        settings: of the app that the address belongs to.
        now: the time of acks that have none, ms.

    Raises:
        ReceiptRefused: it is no callback of vivo.
    """
    acks = decoded(body)
    if not isinstance(acks, dict):
        raise ReceiptRefused("a callback that is no map of task ids")
    receipts: list[Receipt] = []
    for task_id, ack in acks.items():
        if not isinstance(ack, dict):
            continue
        code = word(ack.get("ackType", "0"))
        kind, meaning = ACKS.get(code, OTHER)
        receipts += receipts_of(
            word(task_id),
            words(ack.get("targets")),
            kind,
            code,
            meaning,
            moment(ack.get("ackTime"), now),
            word(ack.get("param")),
        )
    return bounded(receipts)
