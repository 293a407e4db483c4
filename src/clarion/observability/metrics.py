"""Counters and gauges for Prometheus. Every series exists from the start, with zero."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

OUTCOMES = ("ok", "refused", "denied", "throttled", "unavailable", "failed")
"""How a request ended: accepted, business refusal, gateway refusal, rate limit, store away, an error of ours."""

FIRE_OUTCOMES = ("executed", "missed")
"""How a fire of a schedule ended."""

_UNKNOWN = "unknown"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


_OUTCOMES = {
    "OK": "ok",
    "100": "ok",
    "8011": "throttled",
    "Throttling.User": "throttled",
    "9000": "unavailable",
    "ServiceUnavailable": "unavailable",
    "InternalError": "failed",
}


def outcome_of(code: str) -> str:
    """The outcome that a result or gateway code stands for."""
    return _OUTCOMES.get(code) or ("refused" if code.isdecimal() else "denied")


class _RequestStatistics:
    """What was seen of one action; a third of the cost of the library's own counters, which take locks."""

    __slots__ = ("buckets", "outcomes", "seconds")

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.buckets = [0] * (len(_BUCKETS) + 1)
        self.seconds = 0.0


class _RequestCollector(Collector):
    def __init__(self, requests: Mapping[str, _RequestStatistics]) -> None:
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        counted = CounterMetricFamily("clarion_requests", "Requests to the API", labels=("action", "outcome"))
        timed = HistogramMetricFamily(
            "clarion_request_seconds", "Time from a request's last byte to its answer", labels=("action",)
        )
        limits = [*map(str, _BUCKETS), "+Inf"]
        for action, statistics in self._requests.items():
            for outcome, count in statistics.outcomes.items():
                counted.add_metric((action, outcome), count)
            sums = list(zip(limits, accumulate(statistics.buckets), strict=True))
            timed.add_metric((action,), sums, statistics.seconds)
        yield counted
        yield timed


class Metrics:
    """The metrics of one server.

    Args:
        actions: names of the API's actions.
    """

    def __init__(self, actions: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._requests = {name: _RequestStatistics() for name in (*actions, _UNKNOWN)}
        self.registry.register(_RequestCollector(self._requests))
        link = Counter("clarion_link_messages", "Messages on the device link", ("step",), registry=self.registry)
        self.link_sent = link.labels("sent")
        self.link_acked = link.labels("acked")
        self.messages_expired = Counter(
            "clarion_messages_expired", "Messages whose validity ended first", registry=self.registry
        )
        self.devices_recovered = Counter(
            "clarion_devices_recovered", "Connected devices that the poller found owed", registry=self.registry
        )

        self.callback_events = Counter(
            "clarion_callback_events",
            "Events for app servers, by what became of them",
            ("outcome",),
            registry=self.registry,
        )
        self.callback_calls = Counter(
            "clarion_callback_calls", "Calls of app servers", ("outcome",), registry=self.registry
        )
        for counter, outcomes in (
            (self.callback_events, ("sent", "dropped", "given_up")),
            (self.callback_calls, ("taken", "failed")),
        ):
            for outcome in outcomes:
                counter.labels(outcome)
        self.callbacks_waiting = Gauge(
            "clarion_callbacks_waiting",
            "Events that app servers have not taken",
            registry=self.registry,
        )
        self.callbacks_oldest = Gauge(
            "clarion_callbacks_oldest_seconds", "Age of the oldest of them", registry=self.registry
        )

        self._fires = Counter(
            "clarion_schedule_fires", "Times at which a schedule was due", ("outcome",), registry=self.registry
        )
        for outcome in FIRE_OUTCOMES:
            self._fires.labels(outcome)
        self._late = Histogram(
            "clarion_schedule_late_seconds",
            "Time from when a schedule was due until its push was accepted",
            registry=self.registry,
            buckets=_BUCKETS,
        )

        self._callbacks = Counter(
            "clarion_receipt_callbacks", "Calls of vendors with receipts", ("outcome",), registry=self.registry
        )
        self._receipts = Counter(
            "clarion_receipts",
            "Vendors' receipts of messages, by what they tell",
            ("channel", "outcome"),
            registry=self.registry,
        )

    def observe_callback(self, outcome: str, count: int = 1) -> None:
        """Count a vendor's call with receipts; 0 begins the series."""
        self._callbacks.labels(outcome).inc(count)

    def observe_receipts(self, channel: str, outcome: str, count: int) -> None:
        """Count a vendor's receipts; 0 begins the series."""
        self._receipts.labels(channel, outcome).inc(count)

    def observe_fire(self, outcome: str, late: float) -> None:
        """Count one time at which a schedule was due.

        Args:
            outcome: one of `FIRE_OUTCOMES`.
            late: seconds after it was due; less than 0 never.
        """
        self._fires.labels(outcome).inc()
        if outcome == FIRE_OUTCOMES[0]:
            self._late.observe(late)

    def observe_request(self, action: str, code: str, seconds: float) -> None:
        """Count one request to the API.

        Args:
            action: its name, empty when it is unknown.
            code: the result or gateway code of the answer.
            seconds: how long it took.
        """
        statistics = self._requests[action or _UNKNOWN]
        statistics.outcomes[outcome_of(code)] += 1
        statistics.buckets[bisect_left(_BUCKETS, seconds)] += 1
        statistics.seconds += seconds

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """All series in Prometheus' text form."""
        return generate_latest(self.registry)
