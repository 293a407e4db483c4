"""Figures of the lines to vendors, for Prometheus: read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LABELS = ("app", "workspace", "channel")


class LineFigures(NamedTuple):
    """One app's way to one vendor.

    Attributes:
        app: id of the app.
        workspace: id of its workspace.
        channel: label of the channel.
        waiting: targets that wait in memory.
        in_flight: targets that the vendor was sent, without an outcome so far.
        paused: seconds for which nothing is sent; 0 for none.
        rate: most targets a second; 0 for no limit.
        tokens_kept: whether refused tokens are kept, because they are too many.
        breaker: whether the line is in each of the breaker's states.
        outcomes: how many targets had each outcome.
    """

    app: str
    workspace: str
    channel: str
    waiting: int = 0
    in_flight: int = 0
    paused: float = 0.0
    rate: float = 0.0
    tokens_kept: bool = False
    breaker: Mapping[str, bool] = {}
    outcomes: Mapping[str, int] = {}


_GAUGES: tuple[tuple[str, str, Callable[[LineFigures], float]], ...] = (
    ("waiting", "Targets that wait in memory for a vendor", lambda line: line.waiting),
    ("in_flight", "Targets that a vendor was sent, without an outcome so far", lambda line: line.in_flight),
    ("paused_seconds", "How long nothing will be sent to a vendor", lambda line: line.paused),
    ("rate", "Targets a second that a vendor is sent at the most; 0 for no limit", lambda line: line.rate),
    (
        "tokens_kept",
        "1 while vendor tokens are kept because too many are refused at once",
        lambda line: line.tokens_kept,
    ),
)


class LineCollector(Collector):
    """Figures of all lines that were opened.

    Args:
        read: gives them.
    """

    def __init__(self, read: Callable[[], Iterable[LineFigures]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The series."""
        lines = list(self._read())
        for name, text, value in _GAUGES:
            yield _filled(
                GaugeMetricFamily(f"clarion_vendor_{name}", text, labels=_LABELS),
                ((line[:3], value(line)) for line in lines),
            )
        yield _filled(
            GaugeMetricFamily(
                "clarion_vendor_breaker", "1 for the state that the breaker is in", labels=(*_LABELS, "state")
            ),
            (((*line[:3], state), is_so) for line in lines for state, is_so in line.breaker.items()),
        )
        yield _filled(
            CounterMetricFamily(
                "clarion_vendor_targets", "Targets that a vendor was sent, by outcome", labels=(*_LABELS, "outcome")
            ),
            (((*line[:3], outcome), count) for line in lines for outcome, count in line.outcomes.items()),
        )


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, samples: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
