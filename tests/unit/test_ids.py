"""Numbers that grow, whatever the clock does."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion import ids
from clarion.clock import ManualClock, SystemClock
from clarion.ids import MAX_NODE, IdGenerator, first_id_at, id_time_ms

END_OF_TIME = 3_900_000_000_000  # 2093


def test_they_fit_a_javascript_number() -> None:
    last = IdGenerator(ManualClock(END_OF_TIME), node=MAX_NODE)
    assert max(last.next() for _ in range(1000)) < 2**53


def test_they_tell_their_time() -> None:
    clock = ManualClock()
    number = IdGenerator(clock, node=3).next()
    assert id_time_ms(number) == clock.now_ms()
    assert first_id_at(clock.now_ms()) <= number < first_id_at(clock.now_ms() + 1)
    assert first_id_at(0) == 0


@given(st.lists(st.floats(-1e6, 1e6), max_size=20), st.integers(0, MAX_NODE), st.integers(0, 2**53 - 1))
def test_they_grow_whatever_the_clock_does(jumps: list[float], node: int, floor: int) -> None:
    clock = ManualClock()
    generator = IdGenerator(clock, node, floor)
    numbers = [floor]
    for jump in jumps:
        clock.jump(jump)
        numbers += [generator.next() for _ in range(300)]
    assert numbers == sorted(set(numbers))


def test_more_than_a_millisecond_holds_borrow_from_the_next() -> None:
    clock = ManualClock()
    generator = IdGenerator(clock)
    numbers = [generator.next() for _ in range(1000)]
    assert id_time_ms(numbers[255]) == clock.now_ms()
    assert id_time_ms(numbers[256]) == clock.now_ms() + 1


def test_a_restart_goes_on_above_the_largest() -> None:
    clock = ManualClock()
    largest = [IdGenerator(clock, node=5).next() for _ in range(3)][-1]
    clock.jump(-3600)
    assert IdGenerator(clock, node=0, floor=largest).next() > largest


def test_nodes_differ() -> None:
    clock = ManualClock()
    numbers = [
        generator.next() for generator in (IdGenerator(clock, n) for n in range(MAX_NODE + 1)) for _ in "123"
    ]
    assert len(set(numbers)) == len(numbers)
    for node in (-1, MAX_NODE + 1):
        with pytest.raises(ValueError, match="node must be 0 to 15"):
            IdGenerator(clock, node)


def test_threads_share_a_generator() -> None:
    generator = IdGenerator(SystemClock())
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: [generator.next() for _ in range(2000)], range(4)))
    assert len({number for run in runs for number in run}) == 8000
    assert all(run == sorted(run) for run in runs)


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (ids.request_id, r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}"),
        (ids.schedule_id, r"[0-9a-f]{32}"),
        (ids.access_key_id, r"CL[A-Za-z0-9]{22}"),
        (ids.access_key_secret, r"[A-Za-z0-9]{32}"),
        (ids.app_secret, r"[0-9a-f]{64}"),
        (ids.delivery_token, r"[0-9a-f]{40}"),
        (ids.device_secret, r"[0-9a-f]{64}"),
    ],
)
def test_names(make: object, form: str) -> None:
    assert callable(make)
    made = {make() for _ in range(20)}
    assert len(made) == 20
    assert all(re.fullmatch(form, name) for name in made)
