"""Channels of vendors that take one message a request over HTTP/2: the way to them, and answers that are none."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from clarion.channels.answers import HttpAnswer
from clarion.channels.base import Check, ConfigError, Retry, SendOutcome, Unknown
from clarion.channels.files import ChannelFile
from clarion.channels.outcomes import scrub
from clarion.http2.exchange import Answer, Fate
from clarion.http2.headers import Header, HeaderSet
from clarion.http2.origin import Origin, client_tls
from clarion.http2.pool import Pool, PoolLimits

_PORTS = {"https": 443, "http": 80}
_UNPROCESSED = frozenset({Fate.UNPROCESSED})
_LONG_WORD = re.compile(r"[A-Za-z0-9_+/=-]{32,}")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A vendor's address, taken apart.

    Attributes:
        origin: where connections go.
        authority: `host` or `host:port`, as requests name it.
        scheme: `https`; `http` for tests.
        prefix: what all paths begin with, without a slash at the end.
    """

    origin: Origin
    authority: str
    scheme: str
    prefix: bytes

    def headers(self, headers: list[Header]) -> HeaderSet:
        """Headers that many POST requests share."""
        return HeaderSet(self.authority, headers, scheme=self.scheme)

    def pool(self, connections: int) -> Pool:
        """Connections to it."""
        return Pool(self.origin, PoolLimits(connections=connections))


def gateway(base_url: str, file: ChannelFile, context: ssl.SSLContext | None = None) -> Gateway:
    """The way to `base_url`, as a channel file wants it.

    Args:
        base_url: `https://host[:port][/prefix]`.
        file: for the proxy and the certificates to trust.
        context: how to speak TLS, if not just as the file says.

    Raises:
        msgspec.ValidationError: the address has no host, or `caFile` cannot be used.
    """
    parts = urlsplit(base_url)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise msgspec.ValidationError("baseUrl has no host, or a port that there is not")
    secured = None if parts.scheme == "http" else context or trusting(file)
    origin = Origin(parts.hostname, port, secured, file.proxy or "")
    authority = parts.netloc.rpartition("@")[2]
    return Gateway(origin, authority, parts.scheme, parts.path.rstrip("/").encode())


def trusting(file: ChannelFile, certificate: str | None = None, password: str | None = None) -> ssl.SSLContext:
    """TLS that trusts what a channel file names, with a client certificate (PEM file) if there is one.

    Raises:
        msgspec.ValidationError: a file cannot be used.
    """
    try:
        return client_tls(file.ca_file, certificate, password=password)
    except OSError as error:  # ssl.SSLError is one
        raise msgspec.ValidationError(f"caFile or the certificate cannot be used: {error.strerror}") from None


def as_http(answer: Answer) -> HttpAnswer:
    """An answer as one of HTTP/1.1 is seen."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return HttpAnswer(answer.status, headers, answer.body)


def without_tokens(text: str) -> str:
    """Words of a peer or a proxy for people, without what may be a token: they may repeat what was sent."""
    return scrub(_LONG_WORD.sub("…", text), ())


def outcome_without_answer(answer: Answer) -> Retry | Unknown:
    """The outcome of a request that was not answered: unknown, unless it was surely not looked at."""
    text = without_tokens(answer.detail)
    return Retry(None, "", text) if answer.fate in _UNPROCESSED else Unknown("", text)


def check_of(outcome: SendOutcome, where: str, expires_at: int | None = None) -> Check:
    """What the outcome of a message to nobody shows; it is right to refuse that for its token alone.

    Args:
        outcome: of the message.
        where: the vendor's address, and for what it was asked.
        expires_at: end of the credentials, ms; None if there is none.
    """
    match outcome:
        case ConfigError():
            return Check(ok=False, text=f"{outcome.code}: {outcome.text} ({where})", expires_at=expires_at)
        case Retry() | Unknown():
            text = f"{where} cannot be asked: {outcome.code} {without_tokens(outcome.text)}"
            return Check(ok=False, text=text, expires_at=expires_at, reached=False)
        case _:
            return Check(ok=True, text=f"the credentials are taken ({where})", expires_at=expires_at)
