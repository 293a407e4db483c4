"""What an operator reads of a mistake in a channel file."""

from __future__ import annotations

import json

import pytest

from clarion.channels.opening import WrongSettings, parse
from clarion.cli.channel_files import explain

ADDRESS = "an address, http(s)://host[:port][/path], without a query"
HMS = {"appId": "1", "appSecret": "s3cret-text", "packageName": "com.example.app"}
MIUI = {"appSecret": "s3cret-text", "packageName": "com.example.app"}
APNS = {"teamId": "A1B2C3D4E5", "keyId": "F6G7H8J9K0", "privateKey": "s3cret-text", "bundleId": "com.example.app"}


def said(label: str, file: bytes) -> str:
    with pytest.raises(WrongSettings) as refused:
        parse(label, file)
    return explain(label, file, str(refused.value))


@pytest.mark.parametrize(
    ("label", "content", "expected"),
    [
        ("hms", {**HMS, "rate": "fast"}, "hms: rate must be a number from 0 to 1,000,000"),
        ("hms", {**HMS, "rate": -1}, "hms: rate must be a number from 0 to 1,000,000"),
        ("hms", {**HMS, "appId": 7}, "hms: appId must be a text of 1 to 64 characters out of A-Za-z0-9_-"),
        ("hms", {**HMS, "packageName": ""}, "hms: packageName must be a text of 1 to 4,096 characters"),
        ("hms", {**HMS, "receiptId": "x" * 65}, "hms: receiptId must be a text of at most 64 characters"),
        ("hms", {**HMS, "testMessages": "yes"}, "hms: testMessages must be true or false, without quotation marks"),
        ("hms", {**HMS, "overLength": "trim"}, "hms: overLength must be refuse or cut"),
        (
            "miui",
            {**MIUI, "callbackUrl": "push.example"},
            f"miui: callbackUrl must be {ADDRESS}, at most 128 characters",
        ),
        ("apns", {**APNS, "teamId": "x"}, "apns: teamId must be a text of 10 characters out of A-Za-z0-9"),
        ("apns", {**APNS, "environment": "prod"}, "apns: environment must be production or sandbox"),
        ("apns", {**APNS, "connections": 65}, "apns: connections must be a whole number from 1 to 64"),
        ("miui", {**MIUI, "channelIds": "a"}, "miui: channelIds must be a JSON object"),
        (
            "miui",
            {**MIUI, "channelIds": {"2": "a"}},
            "miui: each name in channelIds must be 0 (operational) or 1 (system)",
        ),
        (
            "miui",
            {**MIUI, "channelIds": {"0": 1}},
            "miui: each value in channelIds must be a text of 1 to 4,096 characters",
        ),
        (
            "miui",
            {**MIUI, "pictureHosts": [1]},
            "miui: each entry of pictureHosts must be a text of 1 to 4,096 characters",
        ),
        (
            "harmony",
            {"projectId": "1", "serviceAccount": {}, "bundleName": "a"},
            "harmony: serviceAccount lacks project_id",
        ),
        (
            "harmony",
            {
                "projectId": "1",
                "serviceAccount": {"project_id": "1", "key_id": "k", "sub_account": "s", "private_key": "s3cret"},
                "bundleName": "a",
            },
            "harmony: serviceAccount: private_key is no PEM of a private key without a password",
        ),
    ],
)
def test_a_wrong_value(label: str, content: dict[str, object], expected: str) -> None:
    assert said(label, json.dumps(content).encode()) == expected


def test_all_names_that_are_wrong_or_missing() -> None:
    text = said("hms", b'{"appId": "1", "app_secret": "s3cret-text", "colour": 1}')
    assert text.startswith(
        "hms: not known: app_secret (do you mean appSecret?), colour; missing: appSecret, packageName. "
        "The file may have appId, appSecret, packageName, "
    )
    assert text.endswith(": docs/channels/hms.md")
    assert "s3cret" not in text


def test_many_names_are_cut() -> None:
    text = said("hms", json.dumps({**HMS, **{f"{number}{'x' * 100}": 1 for number in range(100)}}).encode())
    assert "7xxx" in text
    assert "8xxx" not in text
    assert "x" * 41 not in text


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (b"", "a channel file is one JSON object; it ends too early"),
        (b'{"appId": "1",\n "appSecret": "s3cret', "a channel file is one JSON object; it ends too early"),
        (b'{"appId": "1",\n "appSecret" "s3cret"}', "a channel file is one JSON object; look at line 2"),
        (b"[]", "a channel file is one JSON object"),
    ],
)
def test_what_is_no_object(file: bytes, expected: str) -> None:
    assert said("hms", file) == expected


def test_the_channel_s_own_words_are_left() -> None:
    assert said("apns", b"{}") == "apns: missing: teamId, keyId, privateKey; or give `certificate`"
