"""Some thousand odd requests over HTTP: each is answered in its format, none breaks or fattens the server."""

from __future__ import annotations

import asyncio
import json
import logging
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.fuzz import Fuzzed, Fuzzer
from tests.support.client import Answer, Connection
from tests.support.server import ServerProcess
from tests.support.tenants import make_tenants

pytestmark = [pytest.mark.real_process, pytest.mark.slow]

SEED = 20261123
WARM_UP, REQUESTS = 1_500, 5_000
CONNECTIONS = 12
MOST_GROWTH = 30 << 20
log = logging.getLogger(__name__)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL of a PostgreSQL database, or None for SQLite."""
    return str(request.getfixturevalue("postgresql_url")) if request.param == "postgresql" else None


async def test_odd_requests(tmp_path: Path, database: str | None) -> None:
    data_dir = tmp_path / "data"
    tenants = make_tenants(data_dir, database)
    with ServerProcess(data_dir, database=database, head_timeout=1, body_timeout=1, log_level="warning") as server:
        requests = Fuzzer(server.api, tenants.push, SEED).requests(WARM_UP + REQUESTS)
        await _send(server, requests, WARM_UP)
        before = server.process.memory_info().rss
        codes = await _send(server, requests, REQUESTS)
        growth = server.process.memory_info().rss - before
        async with Connection(server.api) as connection:
            metrics = (await connection.request("GET", "/metrics")).body.decode()
        assert await asyncio.to_thread(server.terminate) == 0
    log.info("%.1f MB more after %d requests; %s", growth / (1 << 20), REQUESTS, codes.most_common())
    assert growth < MOST_GROWTH
    assert "clarion_http_connections 1.0" in metrics.splitlines()  # nobody else is connected
    for line in metrics.splitlines():
        if line.startswith("clarion_requests_total") and ('"failed"' in line or '"unavailable"' in line):
            assert line.endswith(" 0.0"), line
    assert server.log == ""
    assert codes["OK"] > 200  # some are good, or the fuzz would go no deeper than the signature
    assert len(codes) > 20


async def _send(server: ServerProcess, requests: Iterator[Fuzzed], count: int) -> Counter[str]:
    """Send the next `count` requests over a few connections; how often each code was the answer."""
    codes: Counter[str] = Counter()
    left = iter(range(count))

    async def send() -> None:
        while True:
            async with Connection(server.api) as connection:
                for _ in left:
                    if not await _send_one(connection, next(requests), codes):
                        break
                else:
                    return

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(send())
    return codes


async def _send_one(connection: Connection, request: Fuzzed, codes: Counter[str]) -> bool:
    """Send a request and check its answer; whether the connection is still of use."""
    try:
        await connection.send(request.data)
        answer = await connection.answer()
    except ConnectionError:
        assert not request.framed, request.data[:2000]
        codes["closed"] += 1
        return False
    except TimeoutError:
        raise AssertionError(f"no answer to {request.data[:2000]!r}") from None
    codes[_check(request, answer)] += 1
    return request.framed and answer.headers.get("connection") != "close"


def _check(request: Fuzzed, answer: Answer) -> str:
    """The code of an answer, which is no failure of the server and can be read in its format."""
    shown = (request.data[:2000], answer)
    assert answer.status < 500, shown
    kind = answer.headers["content-type"]
    if kind == "application/json;charset=utf-8":
        value = json.loads(answer.body)
        code = value.get("Code") or value.get("ResultCode") or value["code"]  # the last one of other paths
        assert "RequestId" in value or not request.framed, shown
    elif kind == "text/xml;charset=utf-8":
        root = ET.fromstring(answer.body)
        code = root.findtext("Code") or root.findtext("ResultCode")
        assert root.findtext("RequestId"), shown
    else:
        assert not request.framed, shown
        code = "not HTTP"
    assert code, shown
    assert code not in ("9000", "InternalError"), shown
    if request.xml is not None and answer.status == 200:
        assert (kind.startswith("text/xml")) == request.xml, shown
    return str(code)
