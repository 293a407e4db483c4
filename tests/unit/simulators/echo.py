"""A vendor of HTTP/1.1 that takes everything, for tests of the host."""

from __future__ import annotations

from typing import Any

from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply


class Echo:
    """Says what it got; makes a callback to the URL in the query, if there is one."""

    label = "echo"

    def credentials(self, base_url: str) -> dict[str, Any]:
        return {"baseUrl": base_url, "appId": "1"}

    def handle(self, request: Received) -> Reply:
        receipts = [Receipt(request.query, b'{"arrived":1}', {"x-sign": "s"})] if request.query else []
        said = {"path": request.path, "repeated": sorted(request.repeated), "size": len(request.body)}
        return json_reply(200, said, tokens=["t1"], receipts=receipts)


def create(_: Surroundings) -> Echo:
    return Echo()
