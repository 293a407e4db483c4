"""When a timed or cyclic push is due: rules and expansion, with a clock and zones of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.message import Activity, PushContent, Sms
from clarion.delivery.accept import TargetType
from clarion.delivery.series import PushKind
from clarion.pushes.model import Strategy
from clarion.pushes.plan import Plan, Target
from clarion.results import Refusal, ResultCode
from clarion.schedules.model import MAX_AHEAD_DAYS, MOVES, Circle, FireState, Timing, timing_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 23, 12, 0, 0, 500_000, SHANGHAI)  # a Monday
TODAY = NOW.date()


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def midnight(day: date, zone: ZoneInfo = SHANGHAI) -> int:
    return ms(datetime.combine(day, time(), zone))


def in_days(days: int) -> int:
    return midnight(TODAY + timedelta(days))


def read(strategy: Strategy, fields: dict[str, Any], now: datetime = NOW, zone: ZoneInfo = SHANGHAI) -> Timing:
    return timing_of(strategy, json.dumps(fields), ms(now), zone)


def cycle(**changes: Any) -> dict[str, Any]:
    fields = {"startTime": in_days(0), "endTime": in_days(30), "circleType": 1, "time": "09:45:11"}
    return {**fields, **changes}


def local(timing: Timing, zone: ZoneInfo = SHANGHAI) -> list[datetime]:
    return [datetime.fromtimestamp(at / 1000, zone) for at in timing.moments]


def refusal(strategy: Strategy, text: str | None) -> Refusal:
    with pytest.raises(Refusal) as refused:
        timing_of(strategy, text, ms(NOW), SHANGHAI)
    assert refused.value.result is ResultCode.INVALID_PARAM
    return refused.value


def test_a_timed_push_is_due_to_the_second() -> None:
    assert read(Strategy.TIMED, {"fixedTime": ms(NOW) + 9_999}).moments == (ms(NOW) // 1000 * 1000 + 10_000,)


@pytest.mark.parametrize("late", [0, 400, 60_000, 10**13])
def test_a_time_that_is_over_leaves_no_moment(late: int) -> None:
    assert read(Strategy.TIMED, {"fixedTime": ms(NOW) - late}).moments == ()


def test_now_is_not_to_come() -> None:
    now = NOW.replace(microsecond=0)
    assert read(Strategy.TIMED, {"fixedTime": ms(now)}, now).moments == ()
    assert read(Strategy.CYCLIC, cycle(endTime=in_days(0), time="12:00:00"), now).moments == ()


@pytest.mark.parametrize("form", [str, float, lambda at: f" {at} "])
def test_numbers_come_in_other_forms_too(form: Any) -> None:
    at = in_days(1)
    assert read(Strategy.TIMED, {"fixedTime": form(at)}) == read(Strategy.TIMED, {"fixedTime": at})


def test_a_sample_of_the_documentation_carries_all_fields_at_once() -> None:
    fields = cycle(fixedTime=in_days(1), circleValue=[1, 7], time="13:45:11")
    assert read(Strategy.TIMED, fields).moments == (in_days(1),)
    assert read(Strategy.TIMED, {**fields, "startTime": 1, "time": "soon"}).moments == (in_days(1),)
    daily = read(Strategy.CYCLIC, {**fields, "fixedTime": 1})
    assert len(daily.moments) == 31
    assert {at.time() for at in local(daily)} == {time(13, 45, 11)}
    assert daily == read(Strategy.CYCLIC, cycle(time="13:45:11"))


def test_a_python_literal_is_read_as_other_maps_are() -> None:
    text = str({"fixedTime": in_days(1)})
    assert timing_of(Strategy.TIMED, text, ms(NOW), SHANGHAI).moments == (in_days(1),)


def test_a_moment_within_a_day_means_the_day() -> None:
    late = cycle(startTime=in_days(2) + 86_399_999, endTime=in_days(4) + 1)
    assert [at.date() - TODAY for at in local(read(Strategy.CYCLIC, late))] == [timedelta(n) for n in (2, 3, 4)]
    assert (
        read(Strategy.CYCLIC, late).rule
        == read(Strategy.CYCLIC, cycle(startTime=in_days(2), endTime=in_days(4))).rule
    )


def test_today_counts_while_its_time_is_to_come() -> None:
    one_day = cycle(endTime=in_days(0))
    assert read(Strategy.CYCLIC, {**one_day, "time": "12:00:00"}).moments == ()
    assert len(read(Strategy.CYCLIC, {**one_day, "time": "12:00:01"}).moments) == 1


def test_weeks_begin_on_monday() -> None:
    weekly = read(Strategy.CYCLIC, cycle(circleType=2, circleValue=[7, 1, 1], endTime=in_days(13)))
    assert [at.date() - TODAY for at in local(weekly)] == [timedelta(n) for n in (6, 7, 13)]


def test_a_month_without_the_day_is_passed_over() -> None:
    monthly = read(Strategy.CYCLIC, cycle(circleType=3, circleValue=[31, 30], endTime=in_days(180)))
    assert [(at.month, at.day) for at in local(monthly)] == [
        (11, 30), (12, 30), (12, 31), (1, 30), (1, 31), (3, 30), (3, 31), (4, 30),
    ]  # fmt: skip


def test_no_day_may_fit() -> None:
    assert read(Strategy.CYCLIC, cycle(circleType=3, circleValue=[31], endTime=in_days(7))).moments == ()


def test_the_longest_cycle() -> None:
    assert len(read(Strategy.CYCLIC, cycle(endTime=in_days(180), time="23:59:59")).moments) == 181


_CYCLES = st.fixed_dictionaries(
    {
        "first": st.integers(0, 180),
        "length": st.integers(0, 180),
        "circle": st.sampled_from(Circle),
        "values": st.sets(st.integers(1, 31), min_size=1, max_size=5),
        "of_day": st.times().map(lambda at: at.replace(microsecond=0, fold=0)),
        "now": st.datetimes(datetime(2024, 1, 1), datetime(2031, 1, 1)),
        "zone": st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    }
)
_FITS: dict[Circle, Callable[[date, set[int]], bool]] = {
    Circle.DAILY: lambda day, values: True,
    Circle.WEEKLY: lambda day, values: (day.weekday() + 1) in values,
    Circle.MONTHLY: lambda day, values: day.day in values,
}


@given(_CYCLES)
def test_every_day_that_fits_has_one_moment_to_come(drawn: dict[str, Any]) -> None:
    zone = ZoneInfo(drawn["zone"])
    now = drawn["now"].replace(tzinfo=zone)
    circle, values = drawn["circle"], drawn["values"]
    if circle is Circle.WEEKLY:
        values = {value % 7 + 1 for value in values}
    first = now.date() + timedelta(drawn["first"])
    last = min(first + timedelta(drawn["length"]), now.date() + timedelta(180))
    fields = {
        "startTime": midnight(first, zone),
        "endTime": midnight(last, zone),
        "circleType": int(circle),
        "circleValue": sorted(values),
        "time": drawn["of_day"].isoformat(),
    }
    timing = read(Strategy.CYCLIC, fields, now, zone)
    fitting = [
        first + timedelta(n) for n in range((last - first).days + 1) if _FITS[circle](first + timedelta(n), values)
    ]
    expected = [at for day in fitting if (at := ms(datetime.combine(day, drawn["of_day"], zone))) > ms(now)]
    assert list(timing.moments) == expected
    assert all(at > ms(now) for at in timing.moments)
    for moment in local(timing, zone):
        assert first <= moment.date() <= last
        assert _FITS[circle](moment.date(), values)


@pytest.mark.parametrize(
    ("zone", "day", "of_day", "expected"),
    [
        ("Europe/Berlin", date(2027, 3, 28), "02:30:00", datetime(2027, 3, 28, 1, 30, tzinfo=UTC)),  # 03:30
        ("Europe/Berlin", date(2026, 10, 25), "02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # the first
        ("America/New_York", date(2027, 3, 14), "02:30:00", datetime(2027, 3, 14, 7, 30, tzinfo=UTC)),  # 03:30
        ("America/New_York", date(2026, 11, 1), "01:30:00", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),  # the first
    ],
)
def test_clocks_that_are_changed(zone: str, day: date, of_day: str, expected: datetime) -> None:
    there = ZoneInfo(zone)
    now = datetime.combine(day, time(12), there) - timedelta(3)
    fields = {"startTime": midnight(day, there), "endTime": midnight(day, there), "circleType": 1, "time": of_day}
    assert read(Strategy.CYCLIC, fields, now, there).moments == (ms(expected),)


def test_the_day_is_that_of_the_zone() -> None:
    evening = datetime(2026, 11, 23, 20, tzinfo=UTC)  # the 24th in China already
    with pytest.raises(Refusal, match="startTime"):
        read(Strategy.CYCLIC, cycle(), evening)
    assert read(Strategy.CYCLIC, cycle(startTime=in_days(1)), evening).moments


@pytest.mark.parametrize("text", [None, "", " ", "no map", "[]", "{}", "1", '"x"'])
@pytest.mark.parametrize("strategy", [Strategy.TIMED, Strategy.CYCLIC])
def test_the_content_has_to_be_a_map(strategy: Strategy, text: str | None) -> None:
    assert "StrategyContent" in refusal(strategy, text).hint


@pytest.mark.parametrize("value", [None, True, "soon", 1.5, [], {}, float("1e300"), "1e3", "١"])
@pytest.mark.parametrize(
    ("strategy", "name"),
    [(Strategy.TIMED, "fixedTime"), *((Strategy.CYCLIC, name) for name in ("startTime", "endTime", "circleType"))],
)
def test_numbers_have_to_be_numbers(strategy: Strategy, name: str, value: Any) -> None:
    fields = {**cycle(fixedTime=in_days(1)), name: value}
    assert name in refusal(strategy, json.dumps(fields)).hint


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("startTime", {"startTime": in_days(0) - 1}),
        ("startTime", {"startTime": -(10**17)}),
        ("endTime", {"startTime": in_days(3), "endTime": in_days(2)}),
        ("endTime", {"endTime": in_days(181)}),
        ("endTime", {"endTime": 10**17}),
        ("circleType", {"circleType": 0}),
        ("circleType", {"circleType": 4}),
        *(
            ("circleValue", {"circleType": kind, "circleValue": value})
            for kind, last in ((2, 7), (3, 31))
            for value in (None, [], "1", 1, [0], [last + 1], [1, "x"], [1, None], [True], {"1": 1})
        ),
        *(
            ("time", {"time": text})
            for text in (None, "", 9, "24:00:00", "9:45:11", "09:60:00", "09:45", "09:45:11x")
        ),
    ],
)
def test_what_a_cycle_may_not_be(name: str, changes: dict[str, Any]) -> None:
    assert name in refusal(Strategy.CYCLIC, json.dumps(cycle(**changes))).hint


def test_a_time_may_not_be_too_far_off() -> None:
    last = ms(NOW) // 1000 * 1000 + MAX_AHEAD_DAYS * 86_400_000
    assert read(Strategy.TIMED, {"fixedTime": last}).moments == (last,)
    assert "ahead" in refusal(Strategy.TIMED, json.dumps({"fixedTime": last + 1000})).hint


def test_every_state_has_its_moves_and_only_waiting_ones_any() -> None:
    assert MOVES.keys() == set(FireState)
    assert MOVES[FireState.WAITING] == set(FireState) - {FireState.WAITING}
    assert [state for state, moves in MOVES.items() if moves] == [FireState.WAITING]


def test_a_plan_survives_the_store() -> None:
    content = PushContent(
        title="t 题",
        content="c",
        style=2,
        icons={"defaultUrl": "i"},
        params={"k": 1, "deep": [{"x": None}], "f": 1.5},
        notify_type="transparent",
        category={"hms": "X"},
        data_payload=[1, {"a": 2}],
        vendor_template={"x": {}},
        activity=Activity("end", {"a": 1}, 5),
        sms=Sms(1, "s", "t", "{}"),
    )
    plan = Plan(
        PushKind.MULTIPLE, "task", TargetType.USER, 60, (content, PushContent("a", "b")),
        (Target("u", "k"), Target("v", "l")), 7, "template",
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
