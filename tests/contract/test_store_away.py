"""Every action when the database is away once the caller is known: nothing is done, and the answer says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest
from tests.sdk.cases import EVERY, REFUSED, check_members, code_of, flat
from tests.unit.openapi.harness import Gateway, common, signed
from tools.generate_docs import registry

from clarion.failures import StoreUnavailable


class Away:
    """Any capability, without a store."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[NoReturn]]:
        async def fail(*_: object, **__: object) -> NoReturn:
            raise StoreUnavailable

        return fail


@pytest.mark.parametrize("action", EVERY)
async def test_system_error(action: str) -> None:
    texts = {name: str(value) for name, value in flat(EVERY[action]).items()}
    answer = await Gateway(tuple(registry(Away()))).call(signed(common(**texts, Action=action)))
    assert answer.status == 200
    assert code_of(answer.json) == "9000"
    check_members(answer.json, REFUSED[action])
