"""Callbacks: made by the simulators, read by the channels; and those that are nobody's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from clarion.channels.base import ReceiptKind, ReceiptRefused
from clarion.channels.honor.receipts import STATUSES as HONOR
from clarion.channels.huawei_receipts import FRESH_MS, MAX_CALLBACK, Meaning, signature
from clarion.channels.huawei_receipts import STATUSES as HUAWEI
from clarion.channels.multicast import Stamp
from clarion.simulators.base import Receipt
from clarion.simulators.huawei import Sent
from tests.channels.multicast.harness import LABELS, MODULES, Gate, push, settings_of

every_vendor = pytest.mark.parametrize("label", LABELS)
USER, KEY = "clarion", "the-key"
URL = "https://push.example.com/receipts/x"


def parse(gate: Gate, callback: Receipt, **headers: str) -> Any:
    return MODULES[gate.label].parse_receipts(
        {**callback.headers, **headers}, callback.body, gate.settings, gate.clock.now_ms()
    )


def made(gate: Gate, *tokens: str, **members: Any) -> list[Receipt]:
    """The simulator's callbacks for a message."""
    simulator: Any = gate.simulator
    simulator.configure({"receiptUrl": URL, "receiptUser": USER, "receiptKey": KEY, **members})
    return list(simulator.receipts(Sent("request-1", "247462019071745", tokens)))


def body(label: str, status: int, **changes: Any) -> bytes:
    """A callback of one message."""
    settings = settings_of(label)
    item: dict[str, Any] = {"token": "t1"}
    if label == "harmony":
        item |= {"deliveryStatus": {"result": status, "timestamp": 5}, "appPackageName": settings.bundle_name}
    else:
        item |= {"status": status, "timestamp": 5, "appid": settings.app_id}
    return msgspec.json.encode({"statuses": [{**item, "requestId": "r1", "biTag": "7", **changes}]})


@every_vendor
def test_what_the_simulator_sends_is_understood(label: str) -> None:
    gate = Gate(label, receiptUser=USER, receiptKey=KEY)
    (callback,) = made(gate, "t1", "t2", "t3", mutedTokens=["t2"], goneTokens=["t3"])
    receipts = parse(gate, callback)
    assert [(it.token, it.kind) for it in receipts] == [
        ("t1", ReceiptKind.ARRIVED),
        ("t2", ReceiptKind.MUTED),
        ("t3", ReceiptKind.INVALID_TOKEN),
    ]
    assert {(it.vendor_id, it.tag, it.at) for it in receipts} == {
        ("request-1", "247462019071745", gate.clock.now_ms())
    }
    assert "'t1'" not in repr(receipts[0])


@every_vendor
def test_a_hundred_in_each(label: str) -> None:
    gate = Gate(label, receiptUser=USER, receiptKey=KEY)
    callbacks = made(gate, *(f"t{number}" for number in range(250)))
    assert [len(parse(gate, callback)) for callback in callbacks] == [100, 100, 50]


@every_vendor
async def test_a_message_that_was_taken_has_callbacks(label: str) -> None:
    gate = Gate(label)
    made(gate, "t1", receiptAfter=2.5, receiptUser="", receiptKey="")
    form = MODULES[label].client.render(gate.settings, push(), Stamp(7, "k", 60))
    headers = {name.replace("-", "_"): value for name, value in form.headers.items()}
    reply = await gate.post(form.body(("t1", "t2")), **headers)
    (callback,) = reply.receipts
    assert (callback.url, callback.after) == (URL, 2.5)
    assert {(it.token, it.tag) for it in parse(gate, callback)} == {("t1", "7"), ("t2", "7")}
    assert msgspec.json.decode(reply.body).get("requestId", "") in callback.body.decode()


STATUSES = [(label, HONOR if label == "honor" else HUAWEI) for label in LABELS]


@pytest.mark.parametrize(
    ("label", "status", "meaning"),
    [(label, status, meaning) for label, table in STATUSES for status, meaning in table.items()],
)
def test_status(label: str, status: int, meaning: Meaning) -> None:
    gate = Gate(label)
    (receipt,) = parse(gate, Receipt(URL, body(label, status)))
    assert (receipt.kind, receipt.code, receipt.text, receipt.at) == (meaning.kind, str(status), meaning.text, 5)


@every_vendor
def test_a_status_that_is_not_known_changes_nothing(label: str) -> None:
    (receipt,) = parse(Gate(label), Receipt(URL, body(label, 4711)))
    assert (receipt.kind, receipt.code) == (ReceiptKind.FAILED, "4711")


@every_vendor
def test_messages_of_other_apps_are_left_out(label: str) -> None:
    other = {"appPackageName": "com.other"} if label == "harmony" else {"appid": "1"}
    assert parse(Gate(label), Receipt(URL, body(label, 0, **other))) == []


@pytest.mark.parametrize("label", ["hms", "honor"])
def test_an_app_id_that_is_a_number(label: str) -> None:
    gate = Gate(label)
    (receipt,) = parse(gate, Receipt(URL, body(label, 0, appid=int(gate.settings.app_id))))
    assert receipt.token == "t1"


SIGNATURES = {
    "none": "",
    "no fields": "hello",
    "no value": "timestamp=1795000000000; nonce=n",
    "no nonce": "timestamp=1795000000000; nonce=; value=abc",
    "a time that is none": f"timestamp=²; nonce=n; value={signature(KEY, '²', 'n', USER)}",
    "another key": f"timestamp=1795000000000; nonce=n; value={signature('other', '1795000000000', 'n', USER)}",
    "another user": f"timestamp=1795000000000; nonce=n; value={signature(KEY, '1795000000000', 'n', 'other')}",
    "another nonce": f"timestamp=1795000000000; nonce=m; value={signature(KEY, '1795000000000', 'n', USER)}",
    "not ASCII": "timestamp=1795000000000; nonce=n; value=é",
    "old": f"timestamp={1_795_000_000_000 - FRESH_MS - 1}; nonce=n; "
    f"value={signature(KEY, str(1_795_000_000_000 - FRESH_MS - 1), 'n', USER)}",
    "of the future": f"timestamp={1_795_000_000_000 + FRESH_MS + 1}; nonce=n; "
    f"value={signature(KEY, str(1_795_000_000_000 + FRESH_MS + 1), 'n', USER)}",
}


@every_vendor
@pytest.mark.parametrize("header", SIGNATURES.values(), ids=list(SIGNATURES))
def test_a_callback_that_is_not_the_vendor_s(label: str, header: str) -> None:
    gate = Gate(label, receiptUser=USER, receiptKey=KEY)
    callback = Receipt(URL, body(label, 0))
    with pytest.raises(ReceiptRefused) as refused:
        parse(gate, callback, **{"X-HUAWEI-CALLBACK-ID": header})
    assert KEY not in str(refused.value)


@every_vendor
def test_the_edge_of_freshness_and_the_spelling_of_the_header(label: str) -> None:
    gate = Gate(label, receiptUser=USER, receiptKey=KEY)
    at = str(gate.clock.now_ms() - FRESH_MS)
    header = f"timestamp={at};nonce=a=b; value={signature(KEY, at, 'a=b', USER)}"
    assert parse(gate, Receipt(URL, body(label, 0)), **{"x-Huawei-Callback-Id": header})


def test_the_signature_is_that_of_openssl() -> None:
    # printf 1563105451261nonceuser | openssl dgst -sha256 -hmac key -binary | base64
    assert signature("key", "1563105451261", "nonce", "user") == "Us5SrOdaj4qxDUgfnZKxcDkrB7nu4TiLVDeX4khVRak="


@every_vendor
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"statuses":7}',
        b"\xff",
        b"[" * 100_000,
        b'{"statuses":[' + b"1," * 1000 + b"1]}",
        b'{"statuses":["' + b"x" * MAX_CALLBACK + b'"]}',
        b'{"statuses":["\xff"]}',
    ],
    ids=range(9),
)
def test_what_is_no_callback(label: str, text: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        parse(Gate(label), Receipt(URL, text))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
items = st.fixed_dictionaries(
    {},
    optional={
        name: anything | st.just("t1") | st.just(0)
        for name in (
            "token",
            "status",
            "timestamp",
            "appid",
            "requestId",
            "biTag",
            "deliveryStatus",
            "appPackageName",
        )
    },
)


@every_vendor
@with_settings(max_examples=80, deadline=None)
@given(statuses=st.lists(items | anything, max_size=4))
def test_any_messages(label: str, statuses: list[Any]) -> None:
    callback = msgspec.json.encode({"statuses": statuses})
    for receipt in MODULES[label].parse_receipts({}, callback, settings_of(label), 1_795_000_000_000):
        assert receipt.token
        assert isinstance(receipt.at, int)
