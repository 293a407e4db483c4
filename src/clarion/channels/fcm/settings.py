"""The channel file of FCM."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from clarion.channels.files import ChannelFile, HttpUrl, Word, parse_file

BASE_URL = "https://fcm.googleapis.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - where, not what


class ServiceAccount(msgspec.Struct, frozen=True):
    """What matters of a service account's key file, as Google gives it.

    Attributes:
        project_id: the Firebase project.
        client_email: the account.
        private_key: its RSA key, PEM.
        private_key_id: the key's id.
        token_uri: who gives access tokens.
    """

    project_id: Annotated[str, Meta(pattern="^[A-Za-z0-9:.-]{1,100}$")]
    client_email: Word
    private_key: Annotated[str, Meta(min_length=1, max_length=16_384)]
    private_key_id: str = ""
    token_uri: HttpUrl = TOKEN_URL

    def __repr__(self) -> str:
        return f"ServiceAccount(project_id={self.project_id!r}, …)"

    def __rich_repr__(self) -> Any:
        yield "project_id", self.project_id


class FcmSettings(ChannelFile, frozen=True, kw_only=True):
    """What the file says.

    Attributes:
        service_account: the key file of a service account that may send: its JSON, or that as a text.
        connections: most connections at once.
    """

    published_rate: ClassVar[float] = 10_000.0  # 600,000 messages a minute for each project

    service_account: ServiceAccount | str
    connections: Annotated[int, Meta(ge=1, le=64)] = 4

    @property
    def account(self) -> ServiceAccount:
        """The service account. Raises `msgspec.ValidationError`."""
        if isinstance(self.service_account, ServiceAccount):
            return self.service_account
        try:
            return msgspec.json.decode(self.service_account, type=ServiceAccount)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"serviceAccount: {error}") from None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise msgspec.ValidationError("serviceAccount is not the JSON of a key file") from None


def parse(text: bytes) -> FcmSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    settings = parse_file(text, FcmSettings)
    return msgspec.structs.replace(settings, service_account=settings.account)
