"""The channel file of APNs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from clarion.channels.files import ChannelFile, Word, parse_file

Identifier = Annotated[str, Meta(pattern="^[A-Za-z0-9]{10}$")]
BundleId = Annotated[str, Meta(pattern="^[A-Za-z0-9.-]{1,200}$")]

HOSTS = {"production": "https://api.push.apple.com", "sandbox": "https://api.sandbox.push.apple.com"}
"""Apple's gateways. Source: Apple, "Sending notification requests to APNs"."""


class ApnsSettings(ChannelFile, frozen=True, kw_only=True):
    """Who sends: either a key of the team, or a certificate of the app.

    Attributes:
        team_id: the team's id, 10 letters and digits.
        key_id: the key's id, 10 letters and digits.
        private_key: the key, the text of Apple's `.p8` file; with a certificate in PEM, that certificate's key.
        certificate: the push certificate with its key: PEM, or PKCS #12 in base64.
        password: of the certificate.
        bundle_id: the app's; may be left out with a certificate, which names it.
        environment: which of Apple's two gateways; a certificate for one of them alone says it by itself, else
            `production`.
        connections: most connections at once.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"team_id", "key_id", "bundle_id", "environment"})

    team_id: Identifier | None = None
    key_id: Identifier | None = None
    private_key: Word | None = None
    certificate: Annotated[str, Meta(min_length=1, max_length=65_536)] | None = None
    password: Annotated[str, Meta(max_length=1_024)] = ""
    bundle_id: BundleId | None = None
    environment: Literal["production", "sandbox"] | None = None
    connections: Annotated[int, Meta(ge=1, le=64)] = 4

    def __post_init__(self) -> None:
        if self.certificate is not None:
            if self.key_id is not None:
                raise ValueError("give either `certificate`, or `teamId`, `keyId` and `privateKey`")
            return
        parts = {"teamId": self.team_id, "keyId": self.key_id, "privateKey": self.private_key}
        missing = [name for name, value in parts.items() if value is None]
        if missing:
            raise ValueError(f"missing: {', '.join(missing)}; or give `certificate`")
        if self.bundle_id is None:
            raise ValueError("missing: bundleId")


def parse(text: bytes) -> ApnsSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, ApnsSettings)
