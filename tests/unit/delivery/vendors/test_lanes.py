"""Order of what waits for a line."""

from __future__ import annotations

from clarion.delivery.series import PushKind
from clarion.delivery.vendors.lanes import LANE_OF, Lane, Lanes


def test_every_kind_of_push_has_a_lane() -> None:
    assert set(LANE_OF) == set(PushKind)


def test_the_most_urgent_goes_first_and_lanes_are_not_mixed() -> None:
    lanes: Lanes[str] = Lanes(10)
    lanes.put(Lane.BROADCAST, "bb")
    lanes.put(Lane.SINGLE, "s")
    lanes.put(Lane.MULTIPLE, "mm")
    assert [lanes.take(5) for _ in range(4)] == [["s"], ["m", "m"], ["b", "b"], []]


def test_lower_lanes_are_not_starved() -> None:
    lanes: Lanes[int] = Lanes(1000)
    lanes.put(Lane.SINGLE, range(500))
    lanes.put(Lane.MULTIPLE, range(1000, 1500))
    lanes.put(Lane.BROADCAST, range(2000, 2500))
    first = [lanes.take(1)[0] for _ in range(160)]
    assert sum(item >= 2000 for item in first) == 10
    assert sum(1000 <= item < 2000 for item in first) == 10


def test_a_full_lane_takes_no_more() -> None:
    lanes: Lanes[int] = Lanes(3)
    assert lanes.put(Lane.SINGLE, range(5)) == 3
    assert lanes.room(Lane.SINGLE) == 0
    assert lanes.room(Lane.BROADCAST) == 3
    assert len(lanes) == 3
    assert lanes.take(2) == [0, 1]
    assert lanes.put(Lane.SINGLE, [7]) == 1
    assert lanes.take(9) == [2, 7]
