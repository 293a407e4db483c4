"""Where vendors send their receipts: an address for each channel of each app, which nobody can guess."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from clarion.channels.opening import WITH_RECEIPTS

PREFIX = "/receipts/"
_PURPOSE = b"clarion receipt addresses"
_SECRET_BYTES = 16
_MAX_DIGITS = 18


class ReceiptAddresses:
    """Makes addresses, and finds out whose an address is.

    Its last part is an HMAC of the others, so that none is stored, and all that a server made stay good.

    Args:
        secret: of the installation.
        public_url: `https://host[:port][/prefix]` at which vendors reach the API port; empty if it is not known.
    """

    def __init__(self, secret: bytes, public_url: str = "") -> None:
        self._key = hmac.digest(secret, _PURPOSE, sha256)
        self._public_url = public_url.rstrip("/")

    def path(self, app: int, label: str) -> str:
        """The path on the API port for the receipts of a channel of an app (internal number)."""
        return f"{PREFIX}{label}/{app}/{self._secret(app, label)}"

    def url(self, app: int, label: str) -> str:
        """The whole address; empty if the server does not know at which one it is reached."""
        return self._public_url and self._public_url + self.path(app, label)

    def shown(self, app: int, label: str) -> str:
        """The address for people: whole, else its path; empty if the vendor sends no receipts."""
        return (self.url(app, label) or self.path(app, label)) if label in WITH_RECEIPTS else ""

    def find(self, path: str) -> tuple[int, str] | None:
        """The app and the channel that a path is for; None if it was not made here, in constant time."""
        label, _, rest = path.removeprefix(PREFIX).partition("/")
        digits = rest.partition("/")[0]
        if label not in WITH_RECEIPTS or not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
            return None
        app = int(digits)
        return (app, label) if hmac.compare_digest(self.path(app, label).encode(), path.encode()) else None

    def _secret(self, app: int, label: str) -> str:
        digest = hmac.digest(self._key, f"{app}/{label}".encode(), sha256)
        return urlsafe_b64encode(digest[:_SECRET_BYTES]).rstrip(b"=").decode()
