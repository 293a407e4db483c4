"""What Huawei, HarmonyOS and Honor have in common in their answers, and how Huawei and Honor give access tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from clarion.channels.answers import HttpFailure
from clarion.channels.base import Accepted, Check, ConfigError, InvalidToken, PayloadError, SendOutcome
from clarion.channels.http import HttpClient
from clarion.channels.outcomes import Treatment, VendorCode, code_of, scrub, vendor_id_of
from clarion.channels.tokens import AccessToken, TokenRefused

NOBODY = "clarion-check"
"""A token of no device, to try credentials with."""

STATUSES: Mapping[int, VendorCode] = {
    400: VendorCode(Treatment.PAYLOAD_ERROR, "the vendor finds the request wrong"),
    401: VendorCode(Treatment.AUTH_REFRESH, "the vendor does not take the access token: check the credentials"),
    403: VendorCode(Treatment.AUTH_REFRESH, "the vendor does not take the access token: check the credentials"),
    404: VendorCode(Treatment.CONFIG_ERROR, "nothing is at this address: check the app's id and `baseUrl`"),
    429: VendorCode(Treatment.RATE_LIMITED, "too many requests", 5.0),
    500: VendorCode(Treatment.RETRY, "the vendor has a fault of its own"),
    502: VendorCode(Treatment.RETRY, "the vendor's gateway found no connection"),
    503: VendorCode(Treatment.RATE_LIMITED, "the vendor limits the rate", 5.0),
}
"""HTTP statuses, when the body has no code that is known."""


class Envelope(NamedTuple):
    """What is common to the answers of Huawei and HarmonyOS: `code`, `msg`, `requestId`."""

    code: str
    text: str
    vendor_id: str


def opened(answer: Mapping[str, Any]) -> Envelope | None:
    """The parts of an answer; None if there is no code. A code that is a number is as good as its text."""
    code, text = code_of(answer.get("code")), answer.get("msg")
    if code is None:
        return None
    return Envelope(code, text if isinstance(text, str) else "", vendor_id_of(answer.get("requestId")))


def inner(text: str) -> dict[str, Any]:
    """The JSON object that is in a text of an answer; empty if there is none."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {}
    return value if isinstance(value, dict) else {}


def words(text: str) -> str:
    """A text of an answer if it is for people; JSON may name tokens."""
    return "" if text.lstrip().startswith(("{", "[")) else text


def named(tokens: Any) -> frozenset[str]:
    """The texts of a list."""
    return frozenset(it for it in tokens if isinstance(it, str)) if isinstance(tokens, list) else frozenset()


def all_named(refused: Collection[str], failures: Any) -> bool:
    """Whether an answer of partial success names all tokens that were refused, as far as it says how many."""
    return bool(refused) and not (isinstance(failures, int) and failures > len(refused))


def checked(vendor: str, outcome: SendOutcome) -> Check:
    """What a message to nobody showed: that the vendor minds its token means that it minds nothing else."""
    if isinstance(outcome, Accepted | InvalidToken):
        return Check(ok=True, text=f"{vendor} takes the credentials")
    return Check(
        ok=False,
        text=" ".join(filter(None, (f"{vendor}:", outcome.code, outcome.text))),
        # What may be otherwise in a moment says nothing of the credentials.
        reached=isinstance(outcome, ConfigError | PayloadError),
    )


def client_credentials(
    http: HttpClient, client_id: str, client_secret: str
) -> Callable[[], Awaitable[AccessToken]]:
    """Fetches access tokens by OAuth 2.0 client credentials.

    Args:
        http: calls the address that gives tokens.
        client_id: whose.
        client_secret: with what.
    """
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}

    async def fetch() -> AccessToken:
        answer = await http.post_form("", form)
        if isinstance(answer, HttpFailure):
            raise TokenRefused(f"no access token from {http.host}: {answer.detail}", final=False)
        value = answer.json()
        given = value if isinstance(value, dict) else {}
        token, seconds = given.get("access_token"), given.get("expires_in")
        if (
            answer.status == 200
            and isinstance(token, str)
            and 0 < len(token) <= 8192
            and token.isascii()
            and token.isprintable()
        ):
            return AccessToken(
                token, float(seconds) if isinstance(seconds, int) and 0 < seconds < 10**7 else 3600.0
            )
        code = given.get("sub_error", given.get("error", ""))
        said = scrub(given.get("error_description"), (client_secret, str(token or "")))
        raise TokenRefused(
            f"no access token from {http.host}: HTTP status {answer.status}{': ' if said else ''}{said}",
            code_of(code) or scrub(code, (client_secret, str(token or "")))[:40],
            final=answer.status in (400, 401, 403, 404),
        )

    return fetch
