"""The push gateway of HarmonyOS, version 3: JWTs that the sender signs, and messages by kind."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import UNSET

from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply
from clarion.simulators.forms import updated
from clarion.simulators.harmony.shapes import (
    ALERT,
    BACKGROUND,
    FORM,
    PAYLOADS,
    VOICE,
    Alert,
    Background,
    JwtClaims,
    JwtHeader,
    Message,
    Options,
    Raw,
    Revocation,
    Voice,
)
from clarion.simulators.huawei import (
    MAX_BODY,
    MAX_TOKENS,
    GatewaySettings,
    Numbering,
    Refusal,
    Sent,
    auth_expires,
    body_of,
    callbacks,
    is_token,
    shaped,
    size_without_tokens,
    struck,
)

AUDIENCE = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
LONGEST_JWT = 86_400
TEST_TOKENS = 10
TEST_CALLS_A_DAY = 1_000
SKEW = 300

REASONS = frozenset(
    (
        "tokenFormatError", "tokenPlatformNotSupport", "noRight", "noPushTypeRight", "appinfoError",
        "noRightToSendThisLiveNotificationEvent", "atomicUnableSendUnsubscribedMsg", "notSupportPlayVoice",
        "differentImgVerifyPolicy", "disableSendHuaweiMsgBecauseOfPenalty", "countryNotSupport",
    )
)  # fmt: skip
"""Why a token is refused; codes of faults may be these words."""
BAD_TOKEN = {
    "80100000": "tokenFormatError",
    "80300007": "tokenFormatError",
    **{reason: reason for reason in REASONS},
}

WORDS = {
    "80000000": "Success",
    "80100001": "Check Parameter Error.",
    "80100003": "Illegal payload.",
    "80100004": "Illegal expire time.",
    "80100022": "Anti-Spam: image not verify.",
    "80200001": "Authentication Error.",
    "80200005": "Jwt token expired.",
    "80300002": "No permission to send message to these tmIDs.",
    "80300008": "Push message size is too long.",
    "80300010": "token count should within 1 and 1000.",
    "80300029": "When send test message, the api request exceed limit.",
    "80300030": "When send test message, token count exceed limit.",
    "80300036": "JWT expire period over threshold.",
    "80300037": "Disable send huawei msg because of penalty.",
    "81000001": "Inner Error.",
}
STATUSES = {"80200001": 401, "80200005": 401, "80300036": 401, "81000001": 500}

PUSH_TYPES = frozenset((ALERT, FORM, VOICE, BACKGROUND, "7", "10", "11"))


class HarmonySimulatorSettings(GatewaySettings, frozen=True):
    """What can be set while the simulator runs.

    Attributes:
        verified_images: addresses of pictures that were checked; None for all.
    """

    verified_images: frozenset[str] | None = None


class HarmonySimulator:
    """Answers as the gateway does.

    Attributes:
        label: `harmony`.
        revoked: how many messages were taken back.
    """

    label = "harmony"

    def __init__(self, surroundings: Surroundings) -> None:
        known = surroundings.known
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        self._project = str(known.get("projectId") or 10**17 + secrets.randbelow(10**17))
        self._client = str(known.get("clientId") or 100_000_000 + secrets.randbelow(10**8))
        self._bundle = str(known.get("bundleName") or "com.example.app")
        account = known.get("serviceAccount") or {}
        self._key_id = str(account.get("key_id") or secrets.token_hex(16))
        self._account = str(account.get("sub_account") or 10**8 + secrets.randbelow(10**8))
        self._key = _key(account.get("private_key"))
        self._settings = HarmonySimulatorSettings()
        self._names = Numbering(self._clock)
        self._dead: set[str] = set()
        self._test_day = (0, 0)
        self.revoked = 0

    def credentials(self, base_url: str) -> dict[str, Any]:
        """The one app that there is."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "projectId": self._project,
            "serviceAccount": {
                "project_id": self._project,
                "key_id": self._key_id,
                "private_key": pem,
                "sub_account": self._account,
                "auth_uri": "https://oauth-login.cloud.huawei.com/oauth2/v3/authorize",
                "token_uri": AUDIENCE,
                "auth_provider_cert_uri": "https://oauth-login.cloud.huawei.com/oauth2/v3/certs",
                "client_cert_uri": "https://oauth-login.cloud.huawei.com/oauth2/v3/x509?client_id=",
            },
            "bundleName": self._bundle,
            "clientId": self._client,
            "baseUrl": base_url,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `HarmonySimulatorSettings`."""
        self._settings = updated(self._settings, settings)

    def handle(self, request: Received) -> Reply:
        """Answer a call."""
        parts = request.path.split("/")
        call = parts[3] if len(parts) == 4 else ""
        if request.method != "POST" or call not in ("messages:send", "messages:revoke"):
            return Reply(404, outcome="no such call", detail=f"{request.method} {request.path}")
        tokens: list[str] = []
        try:
            self._authenticate(request)
            if call == "messages:revoke":
                return self._revoke(request, tokens, parts[1:3])
            return self._send(request, tokens, parts[1:3])
        except Refusal as refusal:
            return self._reply(refusal.code, refusal.said, tokens, refusal.why)

    def receipts(self, sent: Sent, push_type: int = 0) -> list[Receipt]:
        """The callbacks (version 2) that tell what became of a message."""
        now = self._clock.now_ms()
        statuses = [
            {
                "token": token,
                "pushType": push_type,
                "appPackageName": self._bundle,
                "biTag": sent.tag,
                "requestId": sent.request_id,
                "deliveryStatus": {"result": self._settings.status_of(token), "timestamp": now},
            }
            for token in sent.tokens
        ]
        return callbacks(self._settings, statuses, self._clock)

    def _authenticate(self, request: Received) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if auth_expires(self._faults, self.label, request, self._project):
            self._dead.add(token)
        if kind != "Bearer" or token.count(".") != 2:
            raise Refusal("80200001", "no `Authorization: Bearer` with a JWT")
        try:
            signed, _, signature = token.rpartition(".")
            header, claims = (_decoded(part) for part in signed.split("."))
            head = msgspec.json.decode(header, type=JwtHeader)
            claim = msgspec.json.decode(claims, type=JwtClaims)
            self._key.public_key().verify(
                _decoded(signature), signed.encode(), PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256()
            )
        except (ValueError, msgspec.DecodeError, InvalidSignature) as error:
            raise Refusal("80200001", f"the JWT is none of the service account ({type(error).__name__})") from None
        now = self._clock.now_ms() // 1000
        if (head.alg, head.typ, head.kid) != ("PS256", "JWT", self._key_id):
            raise Refusal("80200001", "alg, typ or kid of the JWT")
        if (claim.iss, claim.aud) != (self._account, AUDIENCE) or claim.iat > now + SKEW:
            raise Refusal("80200001", "iss, aud or iat of the JWT")
        if claim.exp - claim.iat > LONGEST_JWT:
            raise Refusal("80300036", "the JWT lives longer than a day")
        if claim.exp <= now or token in self._dead:
            raise Refusal("80200005", "the JWT has expired")

    def _send(self, request: Received, tokens: list[str], where: Sequence[str]) -> Reply:
        if list(where) != ["v3", self._project]:
            raise Refusal("80200001", "not version 3 and the project of the access token")
        push_type = request.headers.get("push-type", "")
        if push_type not in PUSH_TYPES:
            raise Refusal("80100001", "push-type is missing, or none that there is")
        message = shaped(body_of(request), Message)
        options = message.push_options
        tokens += message.target.token
        most = 1 if push_type == FORM else MAX_TOKENS
        if not 1 <= len(tokens) <= most:
            raise Refusal("80300010", f"{len(tokens)} tokens", f"token count should within 1 and {most}.")
        raw = msgspec.json.decode(request.body, type=Raw).target.token
        if size_without_tokens(request.body, raw) > MAX_BODY:
            raise Refusal("80300008", f"more than {MAX_BODY} bytes without the tokens")
        if options.ttl <= 0:
            raise Refusal("80100004", "ttl is not positive")
        if len(options.bi_tag.encode()) > 64:
            raise Refusal("80100001", "biTag has more than 64 bytes")
        if options.collapse_key != -1 and push_type not in (ALERT, VOICE):
            raise Refusal("80100001", "collapseKey is for push-type 0 and 2")
        if push_type in PAYLOADS:
            self._check(shaped(message.payload, PAYLOADS[push_type]))
        if options.test_message:
            self._count_test(len(tokens))
        return self._take(request, push_type, options, tokens)

    def _check(self, payload: Alert | Voice | Background) -> None:
        if isinstance(payload, Background):
            return
        notification = payload.notification
        if notification is None:
            if isinstance(payload, Alert) and payload.badge is None:
                raise Refusal("80100003", "neither notification nor badge")
            return
        click = notification.click_action
        if click.action_type == 1 and not (click.action or click.uri):
            raise Refusal("80100003", "actionType 1 needs action or uri")
        if notification.style == 3 and not notification.inbox_content:
            raise Refusal("80100003", "style 3 needs inboxContent")
        if notification.style == 1 and not (notification.big_title and notification.big_body):
            raise Refusal("80100003", "style 1 needs bigTitle and bigBody")
        verified = self._settings.verified_images
        if notification.image is not UNSET and verified is not None and notification.image not in verified:
            raise Refusal("80100022", "the picture was not checked")

    def _count_test(self, tokens: int) -> None:
        if tokens > TEST_TOKENS:
            raise Refusal("80300030", f"{tokens} tokens of a test message; {TEST_TOKENS} are allowed")
        today = self._clock.now_ms() // 86_400_000
        day, count = self._test_day
        self._test_day = (today, count + 1 if day == today else 1)
        if self._test_day[1] > TEST_CALLS_A_DAY:
            raise Refusal("80300029", "too many test messages")

    def _take(self, request: Received, push_type: str, options: Options, tokens: Sequence[str]) -> Reply:
        refused = self._refused(request, tokens)
        count = sum(token in refused for token in tokens)
        if count == len(tokens):
            raise Refusal("80300007", "no token is taken", _illegal(refused, count, None))
        request_id = self._names.next()
        receipts = self.receipts(
            Sent(request_id, options.bi_tag, dict.fromkeys(tokens).keys() - refused.keys()), int(push_type)
        )
        if not refused:
            return self._reply("80000000", None, tokens, "", request_id, receipts)
        return self._reply(
            "80100000", _illegal(refused, count, len(tokens) - count), tokens, "", request_id, receipts
        )

    def _revoke(self, request: Received, tokens: list[str], where: Sequence[str]) -> Reply:
        if list(where) != ["v1", self._client]:
            raise Refusal("80200001", "not version 1 and the client id of the app")
        if request.headers.get("push-type") not in (ALERT, VOICE):
            raise Refusal("80100001", "push-type is neither 0 nor 2")
        revocation = shaped(body_of(request), Revocation)
        tokens += revocation.token
        if not 1 <= len(tokens) <= MAX_TOKENS:
            raise Refusal("80300010", f"{len(tokens)} tokens")
        refused = self._refused(request, tokens)
        count = sum(token in refused for token in tokens)
        self.revoked += len(tokens) - count
        if not refused:
            return self._reply("80000000", None, tokens)
        code, success = ("80300007", None) if count == len(tokens) else ("80100000", len(tokens) - count)
        return self._reply(code, _illegal(refused, count, success), tokens)

    def _refused(self, request: Received, tokens: Sequence[str]) -> dict[str, str]:
        """Tokens that are not taken, with the reason."""
        codes = struck(self._faults, self.label, tokens, request, self._project)
        whole = next((code for code in codes.values() if code not in BAD_TOKEN), None)
        if whole is not None:
            raise Refusal(whole, "a fault")
        refused = {token: BAD_TOKEN[code] for token, code in codes.items()}
        for token in tokens:
            if token in self._settings.invalid_tokens or not is_token(token):
                refused.setdefault(token, "tokenFormatError")
        return refused

    def _reply(
        self,
        code: str,
        said: str | None,
        tokens: Sequence[str],
        detail: str = "",
        request_id: str = "",
        receipts: Sequence[Receipt] = (),
    ) -> Reply:
        value = {
            "code": code,
            "msg": WORDS.get(code, "Error.") if said is None else said,
            "requestId": request_id or self._names.next(),
        }
        status = STATUSES.get(code, 400 if code.startswith("801") and code != "80100000" else 200)
        outcome = "accepted" if code == "80000000" else code
        return json_reply(status, value, tokens=tokens, outcome=outcome, detail=detail, receipts=receipts)


def _illegal(refused: Mapping[str, str], failures: int, successes: int | None) -> str:
    """The `msg` of an answer that names tokens; with the blanks around reasons that real ones have."""
    by_reason: dict[str, list[str]] = {}
    for token, reason in refused.items():
        by_reason.setdefault(f" {reason} ", []).append(token)
    counts = {"failure": failures} if successes is None else {"success": successes, "failure": failures}
    return msgspec.json.encode({**counts, "illegalTokens": by_reason}).decode()


def _key(pem: Any) -> RSAPrivateKey:
    if isinstance(pem, str):
        key = load_pem_private_key(pem.encode(), None)
        if isinstance(key, RSAPrivateKey):
            return key
    return generate_private_key(65537, 2048)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def create(surroundings: Surroundings) -> HarmonySimulator:
    """A simulator that accepts the credentials of `surroundings.known`, or new ones."""
    return HarmonySimulator(surroundings)
