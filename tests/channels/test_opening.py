"""Every channel by its label: its file opens it, and no text about the file has what is secret in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from clarion.channels.base import VendorChannel
from clarion.channels.opening import FOLDERS, WrongSettings, canonical, open_channel, parse
from clarion.channels.registry import Channel
from clarion.clock import SystemClock
from clarion.simulators import registry
from clarion.simulators.hall import Hall

SECRETS = frozenset(
    {"privateKey", "private_key", "password", "appSecret", "clientSecret", "masterSecret", "accessKeySecret"}
)
"""Members of channel files, wherever they stand."""


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    """All simulators, which refuse credentials that are not theirs."""
    async with Hall(folder=tmp_path / "hall", strict=True) as opened:
        yield opened


def secrets_of(value: Any) -> Iterator[str]:
    """The secret texts in a channel file; of a PEM each line."""
    for name, member in value.items():
        if isinstance(member, dict):
            yield from secrets_of(member)
        elif name in SECRETS:
            yield from (line for line in str(member).splitlines() if len(line) > 7 and "-----" not in line)


def test_the_table_has_all_vendors() -> None:
    assert FOLDERS.keys() == {channel.label for channel in Channel if channel is not Channel.LINK} | {"sms"}
    assert FOLDERS.keys() == registry.SIMULATORS.keys()


@pytest.mark.parametrize("label", FOLDERS)
async def test_the_simulators_file_opens_the_channel(hall: Hall, label: str) -> None:
    file = json.dumps(hall.credentials(label)).encode()
    channel: VendorChannel = open_channel(label, file, SystemClock())
    try:
        assert channel.batch >= 1
        assert await channel.send([]) == []
        assert await channel.recall([]) == []
        check = await channel.check()
        assert check.ok, check.text
        assert check.reached
        assert not [secret for secret in secrets_of(hall.credentials(label)) if secret in check.text]
    finally:
        await channel.close()


@pytest.mark.parametrize("label", FOLDERS)
async def test_a_vendor_that_is_away_is_not_one_that_refuses(
    hall: Hall, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module(f"{FOLDERS[label]}.client"), "CHECK_SECONDS", 1.0, raising=False)
    nowhere = {"baseUrl": "http://127.0.0.1:1", "tokenUrl": "http://127.0.0.1:1/token"}
    channel = open_channel(label, json.dumps({**hall.credentials(label), **nowhere}).encode(), SystemClock())
    check = await channel.check()
    await channel.close()
    assert (check.ok, check.reached) == (False, False), check.text


@pytest.mark.parametrize("label", FOLDERS)
async def test_texts_and_representations_have_no_secret(hall: Hall, label: str) -> None:
    file = hall.credentials(label)
    secrets = list(secrets_of(file))
    assert secrets
    said = [repr(parse(label, json.dumps(file).encode()))]
    wrong: list[dict[str, Any]] = [{**file, "unknown": 1}, {**file, "baseUrl": 7}, {**file, "proxy": "x y"}]
    for name, value in file.items():
        wrong += [{key: member for key, member in file.items() if key != name}, {**file, name: [value]}]
        if isinstance(value, str):
            wrong.append({**file, name: f"{value}\n{value}"})
    for content in wrong:
        try:
            channel = open_channel(label, json.dumps(content).encode(), SystemClock())
        except WrongSettings as error:
            said.append(str(error))
        else:
            said.append(repr(channel))
            await channel.close()
    assert len(said) > 5
    assert not [text for text in said if any(secret in text for secret in secrets)]


def test_a_file_is_kept_without_what_makes_no_difference() -> None:
    assert (
        canonical(b' {"b": {"z": 1, "a": "\\u00e9"},\n"a": [2, 1]} ') == '{"a":[2,1],"b":{"a":"é","z":1}}'.encode()
    )


def test_a_channel_that_this_version_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FOLDERS, "pigeon", "clarion.channels.pigeon")
    with pytest.raises(WrongSettings, match="this version has no channel pigeon"):
        parse("pigeon", b"{}")
