from __future__ import annotations

from itertools import product

from clarion.channels.registry import Channel, Platform
from clarion.delivery.series import CODE_BITS, PLACELESS, PushKind, Series, kind_of, pattern, series_code
from clarion.ids import MAX_NODE

ALL = [Series(*fields) for fields in product(PushKind, (None, *Platform), (None, *Channel))]


def test_a_code_is_that_of_one_series() -> None:
    assert len({series.code for series in ALL}) == len(ALL)
    for series in ALL:
        assert 0 <= series.code < 1 << CODE_BITS
        assert Series.of(series.code) == series
        assert PushKind(kind_of(series.code)) is series.kind


def test_a_node_s_own_rows_are_of_the_same_series() -> None:
    for node in range(MAX_NODE + 1):
        assert [Series.of(series.code | node << CODE_BITS) for series in ALL] == ALL


def test_what_was_planned_for_no_device_lies_above_the_rest() -> None:
    for series in ALL:
        assert (series.code >= PLACELESS) == (series.channel is None)


def test_by_names_of_the_tables() -> None:
    for series in ALL:
        names = [part.label if part else None for part in (series.platform, series.channel)]
        assert series_code(series.kind, *names) == series.code


def test_a_pattern_picks_those_with_all_its_parts() -> None:
    for wanted in product((None, *PushKind), (None, *Platform), (None, *Channel)):
        mask, bits = pattern(*wanted)
        for series in ALL:
            fits = all(part is None or part is own for part, own in zip(wanted, series, strict=True))
            assert (series.code & mask == bits) == fits
            assert ((series.code | MAX_NODE << CODE_BITS) & mask == bits) == fits
