"""Addresses for receipts: found again, not guessed, told to vendors by messages where they fit."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.opening import FOLDERS, WITH_RECEIPTS, open_channel, receiving
from clarion.clock import ManualClock
from clarion.tenants.addresses import ReceiptAddresses

PUBLIC = "https://push.example"
ADDRESSES = ReceiptAddresses(b"secret of the installation", PUBLIC + "/")
FILES: Mapping[str, Mapping[str, str]] = {
    "miui": {"packageName": "p", "appSecret": "s"},
    "oppo": {"appKey": "k", "masterSecret": "s"},
    "vivo": {"appId": "1", "appKey": "k", "appSecret": "s"},
}


@pytest.mark.parametrize("label", WITH_RECEIPTS)
@given(app=st.integers(min_value=1, max_value=(1 << 53) - 1))
def test_an_address_is_found_again(label: str, app: int) -> None:
    path = ADDRESSES.path(app, label)
    assert ADDRESSES.find(path) == (app, label)
    assert ADDRESSES.url(app, label) == PUBLIC + path
    assert len(path.rpartition("/")[2]) == 22


@given(st.text())
def test_no_text_is_an_address(text: str) -> None:
    assert ADDRESSES.find(text) is None
    assert ADDRESSES.find(f"/receipts/{text}") is None
    assert ADDRESSES.find(f"/receipts/hms/{text}") is None


def test_a_part_of_another_address_does_not_fit() -> None:
    path = ADDRESSES.path(12, "hms")
    secret = path.rpartition("/")[2]
    others = [
        path.replace("hms", "honor"),
        path.replace("/12/", "/13/"),
        path.replace("/12/", "/012/"),
        path.replace("/12/", "/１２/"),
        path.replace(secret, secret.swapcase()),
        path + "/",
        path[:-1],
        path.replace("/receipts", ""),
        ReceiptAddresses(b"another installation").path(12, "hms"),
    ]
    assert [ADDRESSES.find(other) for other in others] == [None] * len(others)


def test_channels_without_receipts_have_no_address() -> None:
    assert set(FOLDERS) - set(WITH_RECEIPTS) == {"apns", "fcm"}
    assert ADDRESSES.find(ADDRESSES.path(1, "fcm")) is None
    assert ADDRESSES.shown(1, "fcm") == ""


def test_without_a_public_url_the_path_is_shown() -> None:
    addresses = ReceiptAddresses(b"secret")
    assert addresses.url(1, "hms") == ""
    assert addresses.shown(1, "hms") == addresses.path(1, "hms")


@pytest.mark.parametrize("label", FILES)
async def test_messages_tell_the_address_unless_the_file_has_one(label: str) -> None:
    url = ADDRESSES.url(1, label)
    longest = receiving(label).url_bytes
    cases = [
        ({}, url, url),
        ({}, "", None),
        ({}, url + "/" * (longest - len(url)), url + "/" * (longest - len(url))),
        ({}, url + "/" * (longest - len(url) + 1), None),
        ({"callbackUrl": "https://own.example/x"}, url, "https://own.example/x"),
    ]
    for more, given_url, expected in cases:
        channel = open_channel(label, json.dumps({**FILES[label], **more}).encode(), ManualClock(), given_url)
        assert channel._settings.callback_url == expected  # type: ignore[attr-defined]
        await channel.close()


async def test_a_channel_whose_vendor_is_told_in_its_console_takes_an_address_as_well() -> None:
    file = json.dumps({"appId": "1", "appSecret": "s", "packageName": "p"}).encode()
    channel = open_channel("hms", file, ManualClock(), ADDRESSES.url(1, "hms"))
    await channel.close()


def test_xiaomi_is_asked_for_each_kind_of_report_once() -> None:
    """A sum that has 3 and 1 and 2 makes receipts stop."""
    from clarion.channels.miui import MiuiSettings

    wanted = MiuiSettings(package_name="p", app_secret="s").callback_type
    assert wanted == 1 | 2 | 16 | 32 | 64 | 128
