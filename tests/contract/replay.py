"""Recorded requests signed anew, for now and for another host; else as they were, byte for byte."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from urllib.parse import parse_qsl, quote, urlsplit

from tests.contract.recorded import SECRETS, RecordedRequest
from tests.support.client import signature

KEY_ID = "testAccessKeyId"
SECRET = SECRETS[KEY_ID]
_NOW = {"Timestamp", "x-acs-date"}
_NONCE = {"SignatureNonce", "x-acs-signature-nonce"}
_OWN_LENGTH = {"content-length", "transfer-encoding", "content-md5"}


def signed_anew(recorded: RecordedRequest, host: str) -> tuple[str, dict[str, str], bytes]:
    """Target, headers and body of a request that a permanent key had signed."""
    fresh = dict.fromkeys(_NOW, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    fresh |= dict.fromkeys(_NONCE, secrets.token_hex(16)) | {"host": host}
    headers = {name.lower(): value for name, value in recorded.headers if name.lower() not in _OWN_LENGTH}
    headers |= {name: fresh[name] for name in headers if name in fresh}
    query, body = recorded.query.decode(), recorded.body or ""
    if "authorization" in headers:
        headers["authorization"] = _authorization(recorded.method, query, headers)
    else:
        query, body = _with(query, fresh), _with(body, fresh)
        values = dict(parse_qsl(f"{query}&{body}", keep_blank_values=True))
        del values["Signature"]
        proof = {"Signature": signature(SECRET.decode(), values, recorded.method)}
        query, body = _with(query, proof), _with(body, proof)
    path = urlsplit(recorded.path_query).path
    del headers["host"]  # who sends it writes it
    return (f"{path}?{query}" if query else path), headers, body.encode()


def _with(form: str, values: dict[str, str]) -> str:
    """A form with some of its values changed, and every other byte as it was."""

    def change(found: re.Match[str]) -> str:
        return f"{found[1]}={quote(values[found[1]], safe='')}" if found[1] in values else found[0]

    return re.sub(r"([^&=]+)=[^&]*", change, form)


def _authorization(method: str, query: str, headers: dict[str, str]) -> str:
    """The header of ACS3-HMAC-SHA256, with the headers signed that were, and its parts in their order."""
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    lines = [f"{name}:{headers[name].strip()}\n" for name in signed.split(";")]
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    canonical = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    digest = headers["x-acs-content-sha256"]
    request = "\n".join((method, "/", canonical, "".join(lines), signed, digest))
    string = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    proof = hmac.new(SECRET, string.encode(), hashlib.sha256).hexdigest()
    return re.sub(r"Signature=[^,]+", f"Signature={proof}", headers["authorization"])
