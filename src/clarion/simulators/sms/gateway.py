"""The gateway before the service: parameters, both families of signatures, time window, nonces.

It shares nothing with the sender, so that a mistake there is seen here.

Source: Alibaba Cloud, "RPC signature method" (version 1) and "V3 request signature" (ACS3-HMAC-SHA256).
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import new as hash_of
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from clarion.clock import Clock
from clarion.simulators.base import Received
from clarion.simulators.sms.errors import Refused, missing

VERSION = "2017-05-25"
WINDOW_SECONDS = 900
MAX_NONCES = 1_000_000

_ACS3 = "ACS3-HMAC-SHA256"
_DIGESTS = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}
_MUST_BE_SIGNED = frozenset({"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"})
_FORM = "application/x-www-form-urlencoded"


class Call(NamedTuple):
    """A request that passed the gateway.

    Attributes:
        action: what it wants.
        parameters: of query and form.
        json: whether it wants JSON rather than XML.
        verified: whether its access key is known, so that the signature was verified.
    """

    action: str
    parameters: Mapping[str, str]
    json: bool
    verified: bool


class Gateway:
    """Lets requests pass that an access key signed.

    Args:
        keys: secrets by access-key id.
        actions: that there are.
        clock: for the time window.
        strict: whether a key has to be known; else the well-formed signatures of others are let pass.

    Attributes:
        keys: secrets by access-key id.
        strict: as above.
    """

    def __init__(self, keys: dict[str, str], actions: frozenset[str], clock: Clock, *, strict: bool) -> None:
        self.keys = keys
        self.strict = strict
        self._actions = actions
        self._clock = clock
        self._nonces: OrderedDict[tuple[str, str], int] = OrderedDict()

    def admit(self, request: Received) -> Call:
        """The call that a request is.

        Raises:
            Refused: it is none that the gateway lets pass.
        """
        if request.path not in ("", "/") or request.method not in ("GET", "POST"):
            raise Refused("InvalidAction.NotFound")
        query = _decoded(request.query)
        form = _decoded(request.body.decode("utf-8", "replace")) if _is_form(request) else {}
        if query.keys() & form.keys():
            raise Refused("InvalidParameter", "A parameter is in the query and in the body.")
        parameters = {**query, **form}
        if "authorization" in request.headers:
            return self._admit_header(request, query, parameters)
        return self._admit_version_1(request, parameters)

    def _admit_version_1(self, request: Received, parameters: dict[str, str]) -> Call:
        action = self._known(parameters.get("Action", ""), parameters.get("Version", ""))
        for name in ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion"):
            if not parameters.get(name):
                raise missing(name)
        digest = _DIGESTS.get(parameters["SignatureMethod"])
        if digest is None or parameters["SignatureVersion"] != "1.0":
            raise Refused("InvalidSignatureMethod")
        key_id = parameters["AccessKeyId"]
        secret = self._secret_of(key_id)
        self._check_time(parameters.get("Timestamp", ""))
        string = f"{request.method}&%2F&{_encoded(_canonical(parameters, without='Signature'))}"
        if not _is_signature(parameters["Signature"], digest):
            raise Refused("IncompleteSignature")
        made = b64encode(hmac.digest(f"{secret or ''}&".encode(), string.encode(), digest))
        if secret is not None and not hmac.compare_digest(made, parameters["Signature"].encode()):
            text = f"Specified signature is not matched with our calculation. server string to sign is:{string}"
            raise Refused("SignatureDoesNotMatch", text)
        self._use(key_id, parameters.get("SignatureNonce", ""))
        as_json = parameters.get("Format", "XML").upper() == "JSON"
        return Call(action, parameters, as_json, secret is not None)

    def _admit_header(self, request: Received, query: dict[str, str], parameters: dict[str, str]) -> Call:
        headers = request.headers
        scheme, _, rest = headers["authorization"].partition(" ")
        if scheme != _ACS3:
            raise Refused("InvalidSignatureMethod")
        parts = {name.strip(): value for name, _, value in (part.partition("=") for part in rest.split(","))}
        names = parts.get("SignedHeaders", "").split(";")
        if not parts.get("Credential") or not parts.get("Signature") or not set(names) >= _MUST_BE_SIGNED:
            raise Refused("IncompleteSignature")
        action = self._known(headers.get("x-acs-action", ""), headers.get("x-acs-version", ""))
        secret = self._secret_of(parts["Credential"])
        self._check_time(headers.get("x-acs-date", ""))
        body_hash = sha256(request.body).hexdigest()
        if headers.get("x-acs-content-sha256", body_hash) != body_hash:
            raise Refused("SignatureDoesNotMatch", "The hash of the body is not that of the body.")
        signed = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names)
        lines = "\n".join((request.method, "/", _canonical(query), signed, parts["SignedHeaders"], body_hash))
        string = f"{_ACS3}\n{sha256(lines.encode()).hexdigest()}"
        made = hmac.digest((secret or "").encode(), string.encode(), "sha256").hex().encode()
        if secret is not None and not hmac.compare_digest(made, parts["Signature"].encode()):
            text = f"Specified signature does not match our calculation. server StringToSign is [{string}]"
            raise Refused("SignatureDoesNotMatch", text)
        self._use(parts["Credential"], headers.get("x-acs-signature-nonce", ""))
        return Call(action, parameters, json=True, verified=secret is not None)

    def _known(self, action: str, version: str) -> str:
        if not action:
            raise missing("Action")
        if not version:
            raise missing("Version")
        if version != VERSION:
            raise Refused("InvalidVersion")
        if action not in self._actions:
            raise Refused("InvalidAction.NotFound")
        return action

    def _secret_of(self, key_id: str) -> str | None:
        secret = self.keys.get(key_id)
        if secret is None and self.strict:
            raise Refused("InvalidAccessKeyId.NotFound")
        return secret

    def _check_time(self, text: str) -> None:
        if not text:
            raise missing("Timestamp")
        try:
            at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise Refused("InvalidTimeStamp.Format") from None
        if abs(at.timestamp() - self._clock.now_ms() / 1000) > WINDOW_SECONDS:
            raise Refused("InvalidTimeStamp.Expired")

    def _use(self, key_id: str, nonce: str) -> None:
        """Nonces of good signatures alone are kept, for as long as their time is good."""
        if not nonce:
            raise missing("SignatureNonce")
        oldest = self._clock.now_ms() - 2 * WINDOW_SECONDS * 1000
        while self._nonces and (len(self._nonces) >= MAX_NONCES or next(iter(self._nonces.values())) < oldest):
            self._nonces.popitem(last=False)
        if (key_id, nonce) in self._nonces:
            raise Refused("SignatureNonceUsed")
        self._nonces[key_id, nonce] = self._clock.now_ms()


def _is_signature(text: str, digest: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == hash_of(digest).digest_size
    except ValueError:
        return False


def _is_form(request: Received) -> bool:
    return bool(request.body) and request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM


def _decoded(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, errors="replace")
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        raise Refused("InvalidParameter", "A parameter is repeated.")
    return decoded


def _canonical(parameters: Mapping[str, str], without: str = "") -> str:
    return "&".join(
        f"{_encoded(name)}={_encoded(parameters[name])}" for name in sorted(parameters) if name != without
    )


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
