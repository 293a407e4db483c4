"""Who belongs to an audience."""

from __future__ import annotations

import pytest

from clarion.delivery.broadcasts.model import (
    MOVES,
    Audience,
    BroadcastState,
    Reach,
    Standing,
    Window,
    decode_audience,
    encode_audience,
)

DAY = 24 * 3600 * 1000
NOW = 1_795_000_000_000
EVER = Window()
WEEK = Window(days=7)

NEW = Standing(None, None, None)
BOUND_TODAY = Standing("u", NOW - 1, None)
BOUND_LONG_AGO = Standing("u", NOW - 8 * DAY, None)
BOUND_LATER = Standing("u", NOW + DAY, None)
LEFT_TODAY = Standing(None, NOW - 9 * DAY, NOW - 1)
LEFT_LONG_AGO = Standing(None, NOW - 9 * DAY, NOW - 8 * DAY)

CASES: list[tuple[Audience, set[Standing]]] = [
    (Audience(), {BOUND_TODAY, BOUND_LONG_AGO, BOUND_LATER}),
    (Audience(Reach.LOGGED_IN, WEEK), {BOUND_TODAY, BOUND_LATER}),
    (Audience(Reach.LOGGED_IN, WEEK, EVER), {BOUND_TODAY, BOUND_LATER}),
    (Audience(Reach.LOGGED_OUT, EVER, EVER), {NEW, LEFT_TODAY, LEFT_LONG_AGO}),
    (Audience(Reach.LOGGED_OUT, EVER, WEEK), {LEFT_TODAY}),
    (Audience(Reach.ALL, WEEK, WEEK), {BOUND_TODAY, BOUND_LATER, LEFT_TODAY}),
    (Audience(Reach.ALL, EVER, EVER), {NEW, BOUND_TODAY, BOUND_LONG_AGO, BOUND_LATER, LEFT_TODAY, LEFT_LONG_AGO}),
    (Audience(Reach.LOGGED_IN, Window(until=NOW - 2)), {BOUND_LONG_AGO}),
    (Audience(Reach.LOGGED_IN, Window(since=NOW - 1, until=NOW)), {BOUND_TODAY}),
    (Audience(Reach.LOGGED_OUT, EVER, Window(until=NOW)), {LEFT_TODAY, LEFT_LONG_AGO}),
    (Audience(Reach.LOGGED_OUT, EVER, Window(since=0)), {LEFT_TODAY, LEFT_LONG_AGO}),
]
STANDINGS = (NEW, BOUND_TODAY, BOUND_LONG_AGO, BOUND_LATER, LEFT_TODAY, LEFT_LONG_AGO)


@pytest.mark.parametrize(("audience", "members"), CASES, ids=lambda value: None)
def test_members(audience: Audience, members: set[Standing]) -> None:
    assert {standing for standing in STANDINGS if audience.has(standing, NOW)} == members


def test_both_edges_of_a_period_belong_to_it() -> None:
    audience = Audience(Reach.LOGGED_IN, WEEK)
    assert audience.has(Standing("u", NOW - 7 * DAY, None), NOW)
    assert not audience.has(Standing("u", NOW - 7 * DAY - 1, None), NOW)


@pytest.mark.parametrize(("audience", "_"), CASES, ids=lambda value: None)
def test_stored_form(audience: Audience, _: object) -> None:
    assert decode_audience(encode_audience(audience)) == audience


def test_a_revoked_broadcast_stays_revoked() -> None:
    assert MOVES.keys() == set(BroadcastState)
    assert MOVES[BroadcastState.REVOKED] == frozenset()
    assert all(BroadcastState.RUNNING not in moves for moves in MOVES.values())
