"""Errors of the gateway layer: everything that is refused before an action's own rules are asked.

Source: the common error table of the RPC protocol; docs/errors.md is generated from `GatewayFault`.
A gateway error has an HTTP status of 400 or more, because that alone makes SDKs raise an exception.
"""

from __future__ import annotations

from enum import Enum

MAX_ECHO = 65_536
"""Most characters of a string to sign that an answer repeats to its sender."""


class GatewayFault(Enum):
    """A kind of gateway error: `(HTTP status, code, message)`; braces are filled in by `GatewayError`.

    "server string to sign is:" stands at the very end, with the string right after the colon: Python SDKs
    split the message there, Java SDKs compare the rest with their own string to tell a wrong secret.
    """

    METHOD_NOT_ALLOWED = 405, "UnsupportedHTTPMethod", "This http method is not supported; use GET or POST."
    ACTION_NOT_FOUND = (
        404,
        "InvalidAction.NotFound",
        "Specified api is not found, please check your url and method.",
    )
    VERSION_INVALID = 400, "InvalidVersion", "Specified parameter Version is not valid."
    BODY_TOO_LARGE = 413, "RequestTooLarge", "The request is larger than {limit} bytes."
    BODY_TIMEOUT = 408, "RequestTimeout", "The request body did not arrive within {seconds} seconds."
    CONTENT_TYPE = (
        415,
        "UnsupportedContentType",
        "The request body must be of type application/x-www-form-urlencoded.",
    )
    PARAMETERS_TOO_MANY = 400, "InvalidParameter", "The request has more than {limit} parameters."
    NAME_TOO_LONG = 400, "InvalidParameter", "The name of a parameter is longer than {limit} bytes."
    VALUE_HAS_NUL = (
        400,
        "InvalidParameter",
        "The specified parameter {name} is not valid: it contains the character NUL.",
    )
    PARAMETER_MISSING = 400, "Missing{name}", "{name} is mandatory for this action."
    PARAMETER_INVALID = 400, "Invalid{name}", "The specified parameter {name} is not valid."
    KEY_NOT_FOUND = 404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."
    KEY_INACTIVE = 403, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."
    STS_UNSUPPORTED = (
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
        "SecurityToken mismatch: this server has no STS credentials; use a permanent access key.",
    )
    BEARER_UNSUPPORTED = (
        400,
        "InvalidBearerToken",
        "This server does not support bearer tokens; sign the request with an access key.",
    )
    ID_TOKEN_UNSUPPORTED = (
        400,
        "InvalidIdToken",
        "This server does not support identity tokens; sign the request with an access key.",
    )
    SIGNATURE_METHOD = (
        400,
        "InvalidSignatureMethod",
        "Specified signature method is not supported; use HMAC-SHA1, HMAC-SHA256 or ACS3-HMAC-SHA256.",
    )
    SIGNATURE_INCOMPLETE = (
        400,
        "IncompleteSignature",
        "The request signature does not conform to standards.{hint} server string to sign is:{string_to_sign}",
    )
    SIGNATURE_MISMATCH = (
        400,
        "SignatureDoesNotMatch",
        "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}",
    )
    HEADER_SIGNATURE_MISMATCH = (
        400,
        "SignatureDoesNotMatch",
        (
            "Specified signature does not match our calculation. server StringToSign is [{string_to_sign}] "
            "server CanonicalRequest is [{canonical_request}] server string to sign is:{string_to_sign}"
        ),
    )
    NONCE_USED = 400, "SignatureNonceUsed", "Specified signature nonce was used already."
    TIMESTAMP_FORMAT = (
        400,
        "InvalidTimeStamp.Format",
        "Specified time stamp or date value is not well formatted.",
    )
    TIMESTAMP_EXPIRED = 400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."
    FORBIDDEN = 403, "Forbidden.RAM", "User not authorized to operate on the specified resource."
    THROTTLED = 400, "Throttling.User", "Request was denied due to user flow control."
    INTERNAL = 500, "InternalError", "The request processing has failed due to some unknown error."
    UNAVAILABLE = (
        503,
        "ServiceUnavailable",
        "The request has failed due to a temporary failure of the server.",
    )

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message


class GatewayError(Exception):
    """A request that the gateway layer turns down.

    Args:
        fault: the kind of error.
        retry_after_ms: how long the caller should wait before it tries again; newer SDKs obey this.
        fields: what the braces of the fault's code and message stand for. Texts from the request are
            cut to `MAX_ECHO` characters; bytes in them that are not UTF-8 are written as escapes.
    """

    def __init__(self, fault: GatewayFault, *, retry_after_ms: int | None = None, **fields: object) -> None:
        self.fault = fault
        self.retry_after_ms = retry_after_ms
        texts = {name: _printable(str(value)) for name, value in fields.items()}
        self.code = fault.code.format_map(texts)
        self.message = fault.message.format_map(texts)
        super().__init__(self.code)

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self.fault.status


def _printable(text: str) -> str:
    return text[:MAX_ECHO].encode(errors="backslashreplace").decode()
