"""A small client of the API, signed as the official SDKs sign (version 1, HMAC-SHA256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from clarion.openapi.signature import canonical_query, percent_encode

_SECONDS = 15.0


class RpcFault(Exception):
    """The gateway turned the request down, or no server answered."""


def call(server: str, key_id: str, secret: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out an action; the answer's members.

    Args:
        server: `http://host:port`.
        key_id: access key.
        secret: its secret.
        action: such as `PushSimple`.
        parameters: business parameters; None values are left out.

    Raises:
        RpcFault: no answer, or a gateway error; the text has its code and message.
    """
    if not server.startswith(("http://", "https://")):
        raise RpcFault(f"{server!r} is not an address: use http://host:port")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        f"{server.rstrip('/')}/",
        data=urlencode(signed(key_id, secret, action, parameters, "POST")).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise RpcFault(_explain(error)) from error
    except (OSError, ValueError) as error:
        raise RpcFault(f"no server answers at {server}: {getattr(error, 'reason', error)}") from error


def signed(key_id: str, secret: str, action: str, parameters: Mapping[str, Any], method: str) -> dict[str, str]:
    """All parameters of a request, with the common ones and the signature."""
    values = {name: str(value) for name, value in parameters.items() if value is not None}
    values |= {
        "Action": action,
        "Version": "2020-10-28",
        "Format": "JSON",
        "AccessKeyId": key_id,
        "SignatureMethod": "HMAC-SHA256",
        "SignatureVersion": "1.0",
        "SignatureNonce": secrets.token_hex(16),
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    string = b"%s&%%2F&%s" % (method.encode(), percent_encode(canonical_query(values).decode()))
    digest = hmac.new(f"{secret}&".encode(), string, hashlib.sha256).digest()
    return {**values, "Signature": base64.b64encode(digest).decode()}


def _explain(error: urllib.error.HTTPError) -> str:
    try:
        body = json.load(error)
        message = str(body["Message"])
        # The server's string to sign, which ends such a message, helps nobody here and repeats the request.
        hint = " Check the access key's secret." if body["Code"] == "SignatureDoesNotMatch" else ""
        return f"{body['Code']}: {message.partition(' server string to sign is:')[0]}{hint}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}: this is not the API of a Clarion server"
