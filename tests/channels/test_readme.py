"""The table of all channels says what they do."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from clarion.channels.apns.payload import MAX_PAYLOAD as APNS_BYTES
from clarion.channels.base import Accepted, PayloadError, Recalled
from clarion.channels.fcm.payload import MAX_PAYLOAD as FCM_BYTES
from clarion.channels.harmony.client import TEST_TOKENS
from clarion.channels.hms.payload import MAX_CONTENT as HMS_CONTENT
from clarion.channels.hms.payload import MAX_TITLE as HMS_TITLE
from clarion.channels.huawei_family import MAX_BODY
from clarion.channels.message import PushContent
from clarion.channels.miui.payload import MAX_DESCRIPTION
from clarion.channels.miui.payload import MAX_TITLE as MIUI_TITLE
from clarion.channels.opening import parse
from clarion.channels.oppo.payload import MAX_TITLE as OPPO_TITLE
from clarion.channels.sms.payload import MAX_BATCH
from clarion.channels.vivo.payload import MAX_CONTENT as VIVO_CONTENT
from clarion.channels.vivo.payload import MAX_TITLE as VIVO_TITLE
from clarion.clock import ManualClock
from tests.channels.every import LABELS, TOKENS, copies, envelopes, known, opened, send

README = Path(__file__).parents[2] / "docs" / "channels" / "README.md"
SILENT = PushContent("t", "c", silent=1)


def rows() -> dict[str, list[str]]:
    """The table, by channel: platform, devices, texts, picture, silent, recall, receipts."""
    table = README.read_text("utf-8").partition("## What each takes")[2].partition("\n##")[0]
    found = re.findall(r"^\| \[`(\w+)`\]\(\1\.md\) \|(.*)\|$", table, re.MULTILINE)
    return {label: [cell.strip() for cell in rest.split("|")] for label, rest in found}


def numbers(text: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*\d|\d", text)]


def test_lengths_of_texts() -> None:
    oppo = parse("oppo", msgspec.json.encode(known("oppo")))
    expected = {
        "apns": [APNS_BYTES],
        "fcm": [FCM_BYTES],
        "hms": [HMS_TITLE, HMS_CONTENT, MAX_BODY],
        "harmony": [MAX_BODY],
        "honor": [MAX_BODY],
        "miui": [MIUI_TITLE, MAX_DESCRIPTION],
        "oppo": [OPPO_TITLE, oppo.max_content, oppo.max_long_content],
        "vivo": [VIVO_TITLE, VIVO_CONTENT],
        "sms": [],
    }
    assert {label: numbers(row[2]) for label, row in rows().items()} == expected
    assert tuple(expected) == LABELS


@pytest.mark.parametrize("label", LABELS)
async def test_batches_silence_and_recall(label: str, clock: ManualClock) -> None:
    _, devices, _, _, silent, recall, _ = rows()[label]
    async with opened(label, clock) as (_, channel):
        assert numbers(devices)[0] == channel.batch
        assert numbers(devices)[1:] == {"harmony": [TEST_TOKENS], "sms": [MAX_BATCH]}.get(label, [])
        assert isinstance(await send(label, channel, clock), Accepted)
        if label != "sms":
            (outcome,) = await channel.send(envelopes(label, clock, 1, SILENT))
            assert isinstance(outcome, Accepted if silent == "yes" else PayloadError)
        (recalled,) = await channel.recall(copies(label))
        assert isinstance(recalled, Recalled) is recall.startswith("yes")
        assert TOKENS[label][0] not in repr(recalled)
