"""docs/link-protocol.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clarion.devices.activities import LIFE_MS
from clarion.link.activities import ActivityAnswer, ActivityRequest, verify_activity
from clarion.link.protocol import (
    ClientFrame,
    Failure,
    Hello,
    LinkClose,
    ServerFrame,
    decode_client_frame,
    decode_server_frame,
    verify_hello,
)
from clarion.link.registration import (
    RegistrationAnswer,
    RegistrationRequest,
    verify_registration,
)
from clarion.link.reporting import ReportAnswer, ReportRequest, verify_report
from clarion.link.session import MOVES

PAGE = (Path(__file__).parents[3] / "docs" / "link-protocol.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def transcript() -> list[tuple[str, bytes]]:
    """Who says what, frame by frame."""
    (text,) = (text for text in blocks("") if "challenge" in text)
    joined = re.sub(r"\n    ", "", text)
    return [(line[0], line[3:].encode()) for line in joined.splitlines() if line[3:4] == "{"]


def test_the_transcript_is_made_of_frames_as_they_are() -> None:
    kinds = set()
    for side, text in transcript():
        frame = decode_client_frame(text) if side == "C" else decode_server_frame(text)
        assert frame is not None
        assert set(json.loads(text)) == set(json.loads(msgspec.json.encode(frame))) - {"phone", "ids"}
        kinds.add(type(frame))
        if isinstance(frame, Hello):
            assert verify_hello(frame, b"0123456789abcdef0123456789abcdef")
    assert len(kinds) >= 11


def test_the_signature_in_the_page_runs_and_gives_what_it_says() -> None:
    (code,) = blocks("python")
    *_, call, comment = code.strip().splitlines()
    space: dict[str, Any] = {}
    exec(code, space)
    assert comment == "# " + eval(call, space)


def test_the_registration_in_the_page_is_genuine() -> None:
    request, answer = blocks("json")[:2]
    decoded = msgspec.json.decode(request, type=RegistrationRequest)
    assert verify_registration(decoded, b"app-secret", decoded.timestamp) is None
    assert msgspec.json.decode(answer, type=RegistrationAnswer).link.endswith("/link")


def test_the_report_in_the_page_is_genuine() -> None:
    request, answer = blocks("json")[2:4]
    decoded = msgspec.json.decode(request, type=ReportRequest)
    assert verify_report(decoded, b"0123456789abcdef0123456789abcdef", decoded.timestamp) is None
    assert msgspec.json.decode(answer, type=ReportAnswer).recorded == len(decoded.events)


def test_the_live_activity_in_the_page_is_genuine() -> None:
    request, answer = blocks("json")[4:]
    decoded = msgspec.json.decode(request, type=ActivityRequest)
    assert verify_activity(decoded, b"0123456789abcdef0123456789abcdef", decoded.timestamp) is None
    assert msgspec.json.decode(answer, type=ActivityAnswer).expires_at == decoded.timestamp + LIFE_MS


@pytest.mark.parametrize("kind", [*ClientFrame.__args__, *ServerFrame.__args__])
def test_every_field_of_every_frame_is_in_the_table(kind: type[msgspec.Struct]) -> None:
    tag = kind.__struct_config__.tag
    row = next(line for line in PAGE.splitlines() if line.startswith("| `") and f"`{tag}`" in line.split("|")[1])
    missing = [name for name in kind.__struct_encode_fields__ if f"`{name}`" not in row]
    assert not missing


def test_every_way_to_fail_is_in_the_table_of_close_codes() -> None:
    rows = {row[0]: row[1] for row in re.findall(r"^\| (\d{4}) \| (.*?) ?\| ", PAGE, re.MULTILINE)}
    assert {str(code.value) for code in LinkClose} <= set(rows)
    for failure in Failure:
        named = re.findall(r"`(\w+)`", rows[str(failure.close_code)])
        assert (failure.error_code in named) if failure.error_code else not named


def diagram() -> str:
    lines = ["stateDiagram-v2", "    [*] --> AWAITING_HELLO"]
    lines += [
        f"    {state.name} --> {target.name}"
        for state, targets in MOVES.items()
        for target in type(state)
        if target in targets
    ]
    return "\n".join([*lines, "    CLOSED --> [*]"]) + "\n"


def test_the_diagram_is_the_table_of_moves() -> None:
    assert blocks("mermaid") == [diagram()]
