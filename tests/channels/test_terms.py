"""How much a vendor may be sent, as the channel file says or the vendor publishes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clarion.channels.files import Terms
from clarion.channels.opening import WrongSettings, parse

SMS = {"accessKeyId": "a", "accessKeySecret": "b"}
MIUI = {"packageName": "a", "appSecret": "b"}


def terms(label: str, **file: Any) -> Terms:
    found: Terms = parse(label, json.dumps(file).encode()).terms
    return found


def test_what_a_vendor_publishes_is_kept_to_unless_the_file_says_otherwise() -> None:
    assert terms("sms", **SMS) == Terms(500, 0)
    assert terms("sms", **SMS, rate=0) == Terms(0, 0)
    assert terms("sms", **SMS, rate=2.5, dailyLimit=100_000) == Terms(2.5, 100_000)
    assert terms("miui", **MIUI) == Terms(0, 0)


@pytest.mark.parametrize("wrong", [{"rate": -1}, {"rate": "fast"}, {"dailyLimit": 0}, {"dailyLimit": 1.5}])
def test_wrong_ones_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(WrongSettings, match=next(iter(wrong))):
        terms("sms", **SMS, **wrong)
