"""65 requests of official SDKs, as they arrived at a listener."""

from __future__ import annotations

from pathlib import Path

import msgspec

SECRETS = {
    "testAccessKeyId": b"testAccessKeySecret",
    "STS.testAk": b"testSecret",
    "STS.a": b"s",
    "STS.ak": b"secret",
}


class RecordedRequest(msgspec.Struct, frozen=True):
    """A request; `headers` are in wire order, `body` is without transfer encoding."""

    client: str
    version: str
    action: str
    method: str
    path_query: str
    headers: list[tuple[str, str]]
    body: str | None = ""
    note: str = ""

    @property
    def path(self) -> str:
        return self.path_query.partition("?")[0]

    @property
    def query(self) -> bytes:
        return self.path_query.partition("?")[2].encode()

    @property
    def body_bytes(self) -> bytes:
        return (self.body or "").encode()

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        return [(name.lower().encode(), value.encode()) for name, value in self.headers]


def recorded_requests() -> list[RecordedRequest]:
    """All recorded requests, in the order of the file."""
    file = Path(__file__).with_name("recorded-requests.json")
    return msgspec.json.decode(file.read_bytes(), type=list[RecordedRequest])


def request_name(recorded: RecordedRequest) -> str:
    """A short name for reports of tests."""
    return f"{recorded.client.split()[1]}-{recorded.action}-{recorded.method}"
