"""Registration of a device from the device's side."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import urllib.error
import urllib.request
from typing import cast

import msgspec

from clarion.clock import Clock, SystemClock
from clarion.link import registration

_TIMEOUT = 30.0


class RegistrationFailed(Exception):
    """The server did not register the device; the text says why."""


async def register_device(
    server_url: str,
    app_id: str,
    workspace_id: str,
    app_secret: str,
    platform: registration.Platform,
    *,
    clock: Clock | None = None,
    ssl: ssl.SSLContext | None = None,
) -> registration.RegistrationAnswer:
    """Register a new device over HTTP.

    Args:
        server_url: address of the HTTP interface, such as `http://push.example:8080`.
        app_id: the app.
        workspace_id: its workspace.
        app_secret: secret of the app.
        platform: what the device runs.
        clock: source of time.
        ssl: TLS settings for https, the system's if None.

    Raises:
        RegistrationFailed: the server refused or cannot be reached.
    """
    if not server_url.startswith(("http://", "https://")):
        raise ValueError(f"not an HTTP address: {server_url!r}")
    timestamp, nonce = (clock or SystemClock()).now_ms(), secrets.token_hex(16)
    signature = registration.sign_registration(
        app_secret.encode(), app_id, workspace_id, platform, timestamp=timestamp, nonce=nonce
    )
    body = registration.RegistrationRequest(app_id, workspace_id, platform, timestamp, nonce, signature)
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        server_url.rstrip("/") + registration.PATH,
        data=msgspec.json.encode(body),
        headers={"Content-Type": "application/json"},
    )

    def post() -> bytes:
        with urllib.request.urlopen(request, timeout=_TIMEOUT, context=ssl) as answer:  # noqa: S310
            return cast(bytes, answer.read())

    try:
        return msgspec.json.decode(await asyncio.to_thread(post), type=registration.RegistrationAnswer)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(2_000).decode(errors="replace").strip()
        raise RegistrationFailed(f"{error.code} {text}") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise RegistrationFailed(str(error)) from None
