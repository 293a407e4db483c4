"""Signature version 1 of the RPC protocol, as a client makes it.

Source: Alibaba Cloud, "RPC signature method"; HMAC-SHA1 over verb, path and the sorted parameters.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote


def signed(method: str, parameters: Mapping[str, str], secret: str) -> dict[str, str]:
    """The parameters with their `Signature`."""
    query = "&".join(f"{_encoded(name)}={_encoded(parameters[name])}" for name in sorted(parameters))
    string = f"{method}&%2F&{_encoded(query)}"
    digest = hmac.digest(f"{secret}&".encode(), string.encode(), "sha1")
    return {**parameters, "Signature": b64encode(digest).decode()}


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
