"""Secrets at rest."""

from __future__ import annotations

import base64
import multiprocessing
import stat
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from clarion.failures import ConfigurationError
from clarion.vault import KEY_FILE, Vault, load_master_key

KEY = bytes(range(32))


@pytest.mark.parametrize("secret", [b"", b"s", "世界".encode(), bytes(10_000)])
def test_what_was_sealed_opens(secret: bytes) -> None:
    sealed = Vault(KEY).seal(secret, "apps/1")
    assert Vault(KEY).open(sealed, "apps/1") == secret
    assert len(secret) < 5 or secret not in sealed  # a single byte may turn up by chance
    assert sealed != Vault(KEY).seal(secret, "apps/1")


def test_another_key_is_told_what_to_do() -> None:
    sealed = Vault(KEY).seal(b"secret", "apps/1")
    with pytest.raises(
        ConfigurationError, match=r"does not fit.*put that key back.*CLARION_MASTER_KEY or master.key"
    ):
        Vault(bytes(32)).open(sealed, "apps/1")


def test_another_place_does_not_open_it() -> None:
    sealed = Vault(KEY).seal(b"secret", "apps/1")
    with pytest.raises(ConfigurationError):
        Vault(KEY).open(sealed, "apps/11")


def test_every_changed_byte_is_noticed() -> None:
    sealed = Vault(KEY).seal(b"secret", "c")
    for index in range(len(sealed)):
        with pytest.raises(ConfigurationError):
            Vault(KEY).open(sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :], "c")
    for length in range(len(sealed)):
        with pytest.raises(ConfigurationError):
            Vault(KEY).open(sealed[:length], "c")


def test_an_unknown_version_is_named() -> None:
    with pytest.raises(ConfigurationError, match="newer version"):
        Vault(KEY).open(b"\x02" + bytes(40), "c")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_keys_have_one_size(size: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{size} bytes instead of 32"):
        Vault(bytes(size))


def test_the_key_file_is_made_once_and_is_private(tmp_path: Path) -> None:
    key = load_master_key(tmp_path, None)
    assert len(key) == 32
    assert load_master_key(tmp_path, None) == key
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_the_configured_key_goes_first(tmp_path: Path) -> None:
    configured = base64.b64encode(KEY).decode()
    assert load_master_key(tmp_path, f" {configured}\n") == KEY
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["not base64!", "ключ", base64.b64encode(bytes(31)).decode(), "AA"])
def test_a_wrong_key_names_its_source(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="CLARION_MASTER_KEY"):
        load_master_key(tmp_path, text)
    (tmp_path / KEY_FILE).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=KEY_FILE):
        load_master_key(tmp_path, None)


def test_a_key_that_cannot_be_read_or_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="master key"):
        load_master_key(tmp_path / "missing", None)
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(ConfigurationError, match="cannot read the master key"):
        load_master_key(tmp_path, None)


def _load(directory: Path, barrier: Barrier, results: multiprocessing.SimpleQueue[bytes]) -> None:
    for attempt in range(20):
        barrier.wait()
        results.put(load_master_key(directory / str(attempt), None))


def test_of_processes_that_start_together_one_makes_the_key(tmp_path: Path) -> None:
    for attempt in range(20):
        (tmp_path / str(attempt)).mkdir()
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    results = [spawn.SimpleQueue() for _ in range(2)]
    processes = [spawn.Process(target=_load, args=(tmp_path, barrier, queue)) for queue in results]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    first, second = ([queue.get() for _ in range(20)] for queue in results)
    assert first == second == [load_master_key(tmp_path / str(attempt), None) for attempt in range(20)]
    assert len(set(first)) == 20
    assert all(len(list((tmp_path / str(attempt)).iterdir())) == 1 for attempt in range(20))
