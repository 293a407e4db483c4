"""The gateway: a message a request; and the settings of a test."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import UNSET, UnsetType

from clarion.simulators.base import Received, Reply, Surroundings, json_reply
from clarion.simulators.faults import FaultKind
from clarion.simulators.fcm.errors import Rejected, Violation
from clarion.simulators.fcm.oauth import TOKEN_PATH, ServiceAccount, TokenEndpoint, denied_reply
from clarion.simulators.fcm.rules import read_request

DEFAULT_PROJECT = "clarion-simulated"

_SEND = re.compile(r"/v1/projects/([^/]+)/messages:send")


class FcmSettings(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be set while the simulator runs.

    Attributes:
        service_accounts: key files to know besides those that are.
        strict_keys: whether an account has to be known; else unknown ones are let pass, for any project.
    """

    strict_keys: bool | UnsetType = UNSET
    service_accounts: list[ServiceAccount] = []


class FcmSimulator:
    """Answers as FCM and Google's token endpoint do.

    Attributes:
        label: `fcm`.
        oauth: the token endpoint.
    """

    label = "fcm"

    def __init__(self, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        self.oauth = TokenEndpoint(self._clock, strict=surroundings.strict)
        self._own = _own_account(surroundings.known.get("serviceAccount"))
        self.oauth.register(msgspec.convert(self._own, ServiceAccount))

    def credentials(self, base_url: str) -> dict[str, Any]:
        """A service account that is known, of the project `clarion-simulated`."""
        token_url = f"{base_url}{TOKEN_PATH}"
        return {
            "serviceAccount": {**self._own, "token_uri": token_url},
            "baseUrl": base_url,
            "tokenUrl": token_url,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `FcmSettings`."""
        try:
            wanted = msgspec.convert(settings, FcmSettings)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        for account in wanted.service_accounts:
            self.oauth.register(account)
        if wanted.strict_keys is not UNSET:
            self.oauth.strict = wanted.strict_keys

    def handle(self, request: Received) -> Reply:
        """Answer a request for a token or a message."""
        if request.path == TOKEN_PATH:
            fault = self._faults.code_fault(self.label, "", path=request.path)
            return denied_reply(fault.code, "A fault.") if fault else self.oauth.answer(request)
        tokens: tuple[str, ...] = ()
        headers: dict[str, str] = {}
        try:
            project = self._project(request)
            sent = read_request(request.headers.get("content-type", ""), request.body)
            token = sent["message"].get("token") or sent["message"].get("fid")
            tokens = (token,) if token else ()
            self._strike(token or "", request, headers)
        except Rejected as rejected:
            body = msgspec.json.encode(rejected.envelope())
            headers["Content-Type"] = "application/json; charset=UTF-8"
            return Reply(rejected.kind.status, body, headers, tokens, rejected.code, rejected.message)
        name = "fake_message_id" if sent.get("validate_only") else self._message_id()
        return json_reply(200, {"name": f"projects/{project}/messages/{name}"}, tokens=tokens)

    def _project(self, request: Received) -> str:
        """The project in the path, which the access token is for."""
        found = _SEND.fullmatch(request.path)
        if found is None or request.method != "POST":
            raise Rejected("NOT_FOUND", f"{request.method} {request.path[:100]} is nothing of this server.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self._faults.strike(self.label, (FaultKind.EXPIRED_AUTH,), path=request.path, app=request.path):
            self.oauth.revoke(token)
        owner = self.oauth.project_of(token) if scheme.lower() == "bearer" else None
        if owner is None:
            raise Rejected("UNAUTHENTICATED")
        if not owner:
            return found[1]
        if found[1] not in self.oauth.projects:
            raise Rejected("NOT_FOUND")
        if found[1] != owner:
            raise Rejected("PERMISSION_DENIED")
        return owner

    def _strike(self, token: str, request: Received, headers: dict[str, str]) -> None:
        fault = self._faults.code_fault(self.label, token, path=request.path, app=request.path)
        if fault is None:
            return
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        text = "The registration token is not a valid FCM registration token"
        bad_token = fault.code == "INVALID_ARGUMENT"
        raise Rejected(
            fault.code, text if bad_token else "", [Violation("message.token", text)] if bad_token else ()
        )

    def _message_id(self) -> str:
        return f"0:{self._clock.now_ms() * 1000}%{secrets.token_hex(16)}"


def _own_account(known: Any) -> dict[str, str]:
    """That of an earlier run, or a new one."""
    names = {field.name for field in msgspec.structs.fields(ServiceAccount)}
    if isinstance(known, dict) and all(isinstance(known.get(name), str) for name in names):
        return known
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "project_id": DEFAULT_PROJECT,
        "private_key_id": secrets.token_hex(20),
        "private_key": pem,
        "client_email": f"push@{DEFAULT_PROJECT}.iam.gserviceaccount.com",
        "client_id": str(secrets.randbits(66)),
        "universe_domain": "googleapis.com",
    }
