"""Counters and gauges for Prometheus. Every series exists from the start, with zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

OUTCOMES = ("ok", "refused", "denied", "unavailable", "failed")
"""How a request ended: accepted, business refusal, gateway refusal, store away, an error of ours."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


_OUTCOMES = {
    "OK": "ok",
    "100": "ok",
    "9000": "unavailable",
    "ServiceUnavailable": "unavailable",
    "InternalError": "failed",
}


def outcome_of(code: str) -> str:
    """The outcome that a result or gateway code stands for."""
    return _OUTCOMES.get(code) or ("refused" if code.isdecimal() else "denied")


class Metrics:
    """The metrics of one server.

    Args:
        actions: names of the API's actions.
    """

    def __init__(self, actions: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        requests = Counter("clarion_requests", "Requests to the API", ("action", "outcome"), registry=self.registry)
        seconds = Histogram(
            "clarion_request_seconds",
            "Time from a request's last byte to its answer",
            ("action",),
            registry=self.registry,
            buckets=_BUCKETS,
        )
        names = [*actions, "unknown"]
        self._requests = {(name, outcome): requests.labels(name, outcome) for name in names for outcome in OUTCOMES}
        self._seconds = {name: seconds.labels(name) for name in names}
        link = Counter("clarion_link_messages", "Messages on the device link", ("step",), registry=self.registry)
        self.link_sent = link.labels("sent")
        self.link_acked = link.labels("acked")
        self.messages_expired = Counter(
            "clarion_messages_expired", "Messages whose validity ended first", registry=self.registry
        )
        self.devices_recovered = Counter(
            "clarion_devices_recovered", "Connected devices that the poller found owed", registry=self.registry
        )

    def observe_request(self, action: str, code: str, seconds: float) -> None:
        """Count one request to the API.

        Args:
            action: its name, empty when it is unknown.
            code: the result or gateway code of the answer.
            seconds: how long it took.
        """
        name = action or "unknown"
        self._requests[name, outcome_of(code)].inc()
        self._seconds[name].observe(seconds)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """All series in Prometheus' text form."""
        return generate_latest(self.registry)
