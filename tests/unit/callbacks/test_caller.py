"""Calls over real connections: what servers do wrong, certificates, names."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.receiver import (
    Receiver,
    Reply,
    answer,
    close,
    hang,
    huge,
    nonsense,
    reset,
    slow_body,
    slow_head,
)

from clarion.callbacks.caller import HttpCaller
from clarion.callbacks.model import MAX_ANSWER, Destination, trial_batch
from clarion.callbacks.signature import Signer, new_private_key
from clarion.clock import ManualClock
from clarion.failures import ConfigurationError

BATCH = trial_batch("A", "w", 9, 1000)
QUICK = 0.2


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(new_private_key())


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def caller() -> AsyncIterator[HttpCaller]:
    made = HttpCaller(ManualClock())
    yield made
    await made.close()


@pytest.fixture
async def hasty() -> AsyncIterator[HttpCaller]:
    """For servers that never answer."""
    made = HttpCaller(ManualClock(), QUICK)
    yield made
    await made.close()


@pytest.fixture
def to(signer: Signer) -> Callable[[str], Destination]:
    return lambda url: Destination("A", "w", url, signer)


To = Callable[[str], Destination]


async def test_the_request(receiver: Receiver, caller: HttpCaller, to: To, signer: Signer) -> None:
    said = await caller.call(to(receiver.url), BATCH)
    assert (said.taken, said.status) == (True, 204)
    (call,) = receiver.calls
    assert call.request == "POST /told?secret=1 HTTP/1.1"
    assert call.body == BATCH.body
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"].startswith("Clarion/")
    assert call.headers["x-clarion-batch"] == BATCH.name == call.payload["batch"]
    assert call.headers["x-clarion-timestamp"] == str(ManualClock().now_ms())
    call.verify(signer.public_key)
    with pytest.raises(InvalidSignature):
        call.verify(Signer(new_private_key()).public_key)


async def test_a_connection_is_kept(receiver: Receiver, caller: HttpCaller, to: To) -> None:
    peers = set()

    async def note(writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        await answer(200, b"thanks")(writer)

    receiver.replies.extend([note] * 3)
    assert [(await caller.call(to(receiver.url), BATCH)).body for _ in range(3)] == [b"thanks"] * 3
    assert len(peers) == 1


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (answer(500, b"broken"), "answered 500"),
        (answer(410), "answered 410"),
        (answer(302, b"", "Location: /elsewhere"), "redirects are not followed"),
        (reset, "broke the connection"),
        (close, "closed the connection"),
        (nonsense, "something else than HTTP"),
    ],
    ids=["500", "410", "redirect", "reset", "close", "nonsense"],
)
async def test_not_taken(receiver: Receiver, caller: HttpCaller, to: To, reply: Reply, cause: str) -> None:
    receiver.replies.append(reply)
    said = await caller.call(to(receiver.url), BATCH)
    assert not said.taken
    assert cause in said.cause
    assert "secret" not in said.cause
    assert len(receiver.calls) == 1


@pytest.mark.parametrize("reply", [hang, slow_head, answer(199)], ids=["hang", "slow head", "informational"])
async def test_no_answer_in_time(receiver: Receiver, hasty: HttpCaller, to: To, reply: Reply) -> None:
    receiver.replies.append(reply)
    said = await hasty.call(to(receiver.url), BATCH)
    assert (said.status, said.cause) == (None, "timed out")


@pytest.mark.parametrize("reply", [slow_body, huge], ids=["slow", "huge"])
async def test_the_head_of_an_answer_decides(
    receiver: Receiver, caller: HttpCaller, to: To, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarion.callbacks.caller._ANSWER_SECONDS", QUICK / 2)
    receiver.replies.append(reply)
    said = await caller.call(to(receiver.url), BATCH)
    assert (said.taken, said.status) == (True, 200)
    assert len(said.body) <= MAX_ANSWER
    assert (await caller.call(to(receiver.url), BATCH)).taken, "the next call finds a connection"


async def test_nobody_listens(caller: HttpCaller, to: To) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        said = await caller.call(to(f"http://127.0.0.1:{unused.getsockname()[1]}/?secret=1"), BATCH)
    assert said.status is None
    assert said.cause.startswith("cannot be reached: ")
    assert "secret" not in said.cause


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "..", "%00"])
async def test_what_cannot_be_a_name(caller: HttpCaller, to: To, host: str) -> None:
    said = await caller.call(to(f"http://{host}/"), BATCH)
    assert (said.status, said.taken) == (None, False)


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """One that knows `here.test` and does not answer for other names until the event is set."""
    answers = threading.Event()
    real: Any = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **named: Any) -> Any:
        if host != "here.test":
            answers.wait(30)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real("127.0.0.1", *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield answers
    answers.set()


async def test_no_such_name(caller: HttpCaller, to: To, name_server: threading.Event) -> None:
    name_server.set()
    said = await caller.call(to("http://nowhere.test/?secret=1"), BATCH)
    assert said.cause.startswith("its name is not known")
    assert "secret" not in said.cause


async def test_names_that_hang_hold_up_no_other(
    receiver: Receiver, caller: HttpCaller, to: To, name_server: threading.Event
) -> None:
    hanging = [asyncio.create_task(caller.call(to(f"http://{n}.test/"), BATCH)) for n in range(50)]
    await asyncio.sleep(0)
    said = await caller.call(to(f"http://here.test:{receiver.port}/"), BATCH)
    assert said.taken
    assert not any(call.done() for call in hanging)
    name_server.set()
    causes = {call.cause for call in await asyncio.gather(*hanging)}
    assert {cause.partition(":")[0] for cause in causes} == {"its name is not known"}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and, beside it, its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    file.with_suffix(".key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return file


async def _call_by_tls(certificate: Path, url: Callable[[Receiver], str], to: To, ca_file: str) -> Any:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    caller = HttpCaller(ManualClock(), 5, ca_file)
    try:
        async with Receiver(context) as receiver:
            return await caller.call(to(url(receiver)), BATCH)
    finally:
        await caller.close()


async def test_certificates_are_verified(certificate: Path, to: To, name_server: threading.Event) -> None:
    def by_address(receiver: Receiver) -> str:
        return receiver.url

    def by_other_name(receiver: Receiver) -> str:
        return f"https://here.test:{receiver.port}/"

    tries: list[Awaitable[Any]] = [
        _call_by_tls(certificate, by_address, to, ""),
        _call_by_tls(certificate, by_address, to, str(certificate)),
        _call_by_tls(certificate, by_other_name, to, str(certificate)),
    ]
    unknown, known, other = [await call for call in tries]
    assert unknown.cause.startswith("its certificate is not valid: ")
    assert known.taken
    assert other.cause.startswith("its certificate is not valid: ")


@pytest.mark.parametrize("text", [None, "no certificate"])
async def test_a_file_that_holds_no_certificates(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match="callback_ca_file"):
        HttpCaller(ManualClock(), 1, str(file))
