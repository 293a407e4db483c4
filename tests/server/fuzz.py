"""Requests that no client should send, made from those that clients do send; the same ones for the same seed."""

from __future__ import annotations

import hashlib
import hmac
import random
import secrets
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl

from tests.contract.recorded import RecordedRequest, recorded_requests
from tests.support.client import form, request_bytes, sign
from tests.support.server import Address
from tests.support.tenants import Key

Parameters = dict[str, str]

TEXTS = (
    "",
    " ",
    "\x00",
    "\udcff",
    "\udced\udca0\udc80",
    "\u202e\ufeff\ufffe",
    "👩‍👩‍👧‍👦" * 50,
    "\r\nX: y",
    "%00%zz%",
    "'; DROP TABLE messages; --",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "x" * 5_000,
    "0",
    "-1",
    "1.0",
    "1e309",
    "NaN",
    "9" * 400,
    str(1 << 63),
    "٣",
    "true",
    "null",
    "[" * 5_000,
    '{"a":' * 5_000,
    '{"a":' * 20 + "1" + "}" * 20,
    '{"\\ud800":"k"}',
    '{"u":"\\ud800"}',
    '{"u":"\\u0000"}',
    '{"u":1e999}',
    '{"u":' + "9" * 400 + "}",
    '{"u":[{}],"u":null}',
    "{'u': 'k', 'v': None}",
    "{'u': " + "(" * 300,
    "2026-13-45T99:99:99Z",
    "HMAC-SM3",
    "BEARERTOKEN",
    "XML",
    "json ",
)
NAMES = ("", " ", "AppId", "appId", "Signature", "ActivityContentState.1.2", "TargetMsg.1.Target", "名", "a" * 129)
SERVED = ("PushSimple", "PushBind", "PushUnBind", "PushReport", "PushQueryDeviceState")
ACTIONS = ("PushBind", "PushQueryDeviceState", "push", "PushSimple ")
HEADERS = (b"Authorization", b"x-acs-date", b"Content-Type", b"Expect", b"Host", b"Upgrade", b"\xe9")
VALUES = (b"ACS3-HMAC-SHA256 Credential=,=", b"100-continue", b"h2c", b"\xff\xfe", b"", b"a" * 9_000)
METHODS = ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "get")


class Fuzzed(NamedTuple):
    """A request over the wire.

    Attributes:
        data: its bytes.
        xml: whether it asks for XML; None when nobody can say.
        framed: whether it is one whole HTTP request, so that an answer must come.
    """

    data: bytes
    xml: bool | None
    framed: bool


class Fuzzer:
    """Makes requests.

    Args:
        address: the server, for the header `Host`.
        key: signs about half of them.
        seed: chooses them.
    """

    def __init__(self, address: Address, key: Key, seed: int) -> None:
        self._address = address
        self._key = key
        self._random = random.Random(seed)
        self._recorded = recorded_requests()
        self._served = [recorded for recorded in self._recorded if recorded.action in SERVED]

    def requests(self, count: int) -> Iterator[Fuzzed]:
        """Some requests."""
        ways = (
            (40, self._signed),
            (10, self._header_signed),
            (15, self._unsigned),
            (20, self._broken_body),
            (5, self._other_method),
            (5, self._random_headers),
            (5, self._broken_frame),
        )
        weights = [weight for weight, _ in ways]
        for _ in range(count):
            _, way = self._random.choices(ways, weights)[0]
            yield way()

    # Whole requests.

    def _signed(self) -> Fuzzed:
        action, parameters = self._mutated()
        method = self._random.choice(("POST", "POST", "GET"))
        wanted = self._random.choice(("JSON", "XML"))
        common = {"Format": wanted, "Version": self._random.choice(("2019-08-21", "2020-07-10", "2020-10-28"))}
        data = form(sign(self._key, action, parameters, method=method, **common))
        target, body = ("/?" + data.decode(), b"") if method == "GET" and len(data) < 60_000 else ("/", data)
        return self._framed(method, target, body, xml=wanted == "XML")

    def _header_signed(self) -> Fuzzed:
        action, parameters = self._mutated()
        body = form(parameters)
        headers = {
            "x-acs-action": action,
            "x-acs-version": "2020-10-28",
            "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        }
        names = ";".join(headers)
        lines = ["POST", "/", "", *(f"{name}:{value}" for name, value in headers.items()), "", names]
        canonical = "\n".join([*lines, headers["x-acs-content-sha256"]])
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        made = hmac.new(self._key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        proof = f"Credential={self._key.key_id},SignedHeaders={names},Signature={made}"
        headers["authorization"] = f"ACS3-HMAC-SHA256 {proof}"
        return Fuzzed(request_bytes(self._address, "POST", "/", body, **headers), None, framed=True)

    def _unsigned(self) -> Fuzzed:
        recorded = self._random.choice(self._recorded)
        query = self._scratch(recorded.query) if self._random.random() < 0.5 else recorded.query
        body = self._scratch(recorded.body_bytes) if self._random.random() < 0.5 else recorded.body_bytes
        dropped = ("host", "content-length", "content-type", "transfer-encoding", "connection")
        headers = {name: value for name, value in recorded.headers if name.lower() not in dropped}
        target = "/?" + "".join(chr(byte) if 33 <= byte < 127 else f"%{byte:02X}" for byte in query)
        return Fuzzed(request_bytes(self._address, recorded.method, target, body, **headers), None, framed=True)

    def _broken_body(self) -> Fuzzed:
        action, parameters = self._mutated()
        body = form(sign(self._key, action, parameters))
        count = self._random.choice((1_950, 2_001, 9_000))
        many = b"&".join(b"p%d=%d" % (number, number) for number in range(count))
        changes: tuple[Callable[[], bytes], ...] = (
            lambda: self._scratch(body),
            lambda: self._random.randbytes(self._random.randrange(1, 2_000)),
            lambda: body + b"&" + many,
            lambda: body.replace(b"%", b"%u", 3).replace(b"=", b"%", 1),
            lambda: b"&&==&" + body + b"&%&%z=%zz",
            lambda: body + b"&" + body,
        )
        return self._framed("POST", "/", self._random.choice(changes)())

    def _other_method(self) -> Fuzzed:
        action, parameters = self._mutated()
        body = form(sign(self._key, action, parameters))
        return Fuzzed(request_bytes(self._address, self._random.choice(METHODS), "/", body), None, framed=False)

    # Parts that are no request.

    def _random_headers(self) -> Fuzzed:
        count = self._random.randrange(1, 200)
        pairs = zip(self._random.choices(HEADERS, k=count), self._random.choices(VALUES, k=count), strict=True)
        headers = b"".join(name + b": " + value + b"\r\n" for name, value in pairs)
        return Fuzzed(b"GET /?Action=PushSimple HTTP/1.1\r\n" + headers + b"\r\n", None, framed=False)

    def _broken_frame(self) -> Fuzzed:
        if self._random.random() < 0.3:
            return Fuzzed(self._random.randbytes(self._random.randrange(1, 500)) + b"\r\n\r\n", None, framed=False)
        return Fuzzed(self._scratch(self._signed().data) + b"\r\n\r\n", None, framed=False)

    # Changes.

    def _mutated(self) -> tuple[str, Parameters]:
        recorded = self._random.choice(self._served if self._random.random() < 0.9 else self._recorded)
        parameters = _business(recorded)
        for _ in range(self._random.randrange(4)):
            names = list(parameters) or [""]
            name, text = self._random.choice(names), self._random.choice(TEXTS)
            match self._random.randrange(5):
                case 0 | 1:
                    parameters[name] = text
                case 2:
                    parameters[self._random.choice(NAMES)] = text
                case 3:
                    parameters.pop(name, None)
                case 4:
                    parameters[f"{name}.{self._random.randrange(3)}.x"] = text
        action = recorded.action if self._random.random() < 0.9 else self._random.choice(ACTIONS)
        return action, parameters

    def _scratch(self, data: bytes) -> bytes:
        inserts = (b"%", b"%00", b"%FF", b"&", b"=", b"\x00", b"%u0041", b"+")
        changed = bytearray(data or b"x")
        for _ in range(self._random.randrange(1, 6)):
            at = self._random.randrange(len(changed))
            match self._random.randrange(4):
                case 0:
                    changed[at] = self._random.randrange(256)
                case 1:
                    changed[at:at] = self._random.choice(inserts)
                case 2:
                    del changed[at : at + self._random.randrange(1, 20)]
                    changed = changed or bytearray(b"x")
                case 3:
                    changed += changed[at : at + 50]
        return bytes(changed)

    def _framed(self, method: str, target: str, body: bytes, *, xml: bool | None = None) -> Fuzzed:
        return Fuzzed(request_bytes(self._address, method, target, body), xml, framed=True)


_COMMON = ("Action", "Version", "Format", "Timestamp", "RegionId", "BearerToken", "SecurityToken", "AccessKeyId")


def _business(recorded: RecordedRequest) -> Parameters:
    pairs = parse_qsl(recorded.query.decode() + "&" + recorded.body_bytes.decode(), keep_blank_values=True)
    return {name: value for name, value in pairs if name not in _COMMON and not name.startswith("Signature")}
