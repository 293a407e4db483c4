"""The pages name every code, reason and status that the tables have, and every member of the channel files."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from clarion.channels.files import ChannelFile
from clarion.channels.harmony.errors import CODES as HARMONY_CODES
from clarion.channels.harmony.settings import HarmonySettings
from clarion.channels.hms.errors import CODES as HMS_CODES
from clarion.channels.hms.settings import HmsSettings
from clarion.channels.honor.errors import CODES as HONOR_CODES
from clarion.channels.honor.receipts import STATUSES as HONOR_STATUSES
from clarion.channels.honor.settings import HonorSettings
from clarion.channels.huawei_receipts import STATUSES

PAGES = Path(__file__).parents[3] / "docs" / "channels"
FILES: dict[str, type[msgspec.Struct]] = {
    "hms": HmsSettings,
    "harmony": HarmonySettings,
    "honor": HonorSettings,
}
COMMON = {field.encode_name for field in msgspec.structs.fields(ChannelFile)}
CODES = {"hms": HMS_CODES, "harmony": HARMONY_CODES, "honor": HONOR_CODES}
RECEIPTS = {"hms": STATUSES, "honor": HONOR_STATUSES}


def page(label: str) -> str:
    return (PAGES / f"{label}.md").read_text("utf-8")


@pytest.mark.parametrize("label", list(CODES))
def test_codes(label: str) -> None:
    text = page(label)
    families = tuple(re.findall(r"\b(\d{3})…", text))
    assert {code for code in CODES[label] if code not in text and not code.startswith(families or ("-",))} == set()


@pytest.mark.parametrize("label", list(RECEIPTS))
def test_receipts(label: str) -> None:
    table = page(label).split("## Receipts")[1].split("##")[0]
    assert {int(it) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for it in row.split(",")} == set(
        RECEIPTS[label]
    )


@pytest.mark.parametrize("label", list(FILES))
def test_channel_file(label: str) -> None:
    members = {field.encode_name for field in msgspec.structs.fields(FILES[label])} - COMMON
    text = page(label)
    assert {member for member in members if f"`{member}`" not in text} == set()


def test_members_of_all_channel_files() -> None:
    text = page("README")
    assert {member for member in COMMON if f"`{member}`" not in text} == set()
