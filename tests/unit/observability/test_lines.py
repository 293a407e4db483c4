"""The figures of lines as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from clarion.observability.lines import LineCollector, LineFigures


def test_each_line_has_its_series() -> None:
    lines: list[LineFigures] = []
    registry = CollectorRegistry()
    registry.register(LineCollector(lambda: lines))
    assert "clarion_vendor_waiting{" not in generate_latest(registry).decode()
    lines.append(
        LineFigures(
            "A",
            "W",
            "hms",
            waiting=3,
            in_flight=2,
            paused=1.5,
            rate=500,
            tokens_kept=True,
            breaker={"closed": False, "open": True},
            outcomes={"taken": 7, "invalid_token": 1},
        )
    )
    of_line = 'app="A",channel="hms",'
    text = generate_latest(registry).decode()
    for series in (
        f'clarion_vendor_waiting{{{of_line}workspace="W"}} 3.0',
        f'clarion_vendor_in_flight{{{of_line}workspace="W"}} 2.0',
        f'clarion_vendor_paused_seconds{{{of_line}workspace="W"}} 1.5',
        f'clarion_vendor_rate{{{of_line}workspace="W"}} 500.0',
        f'clarion_vendor_tokens_kept{{{of_line}workspace="W"}} 1.0',
        f'clarion_vendor_breaker{{{of_line}state="closed",workspace="W"}} 0.0',
        f'clarion_vendor_breaker{{{of_line}state="open",workspace="W"}} 1.0',
        f'clarion_vendor_targets_total{{{of_line}outcome="taken",workspace="W"}} 7.0',
        f'clarion_vendor_targets_total{{{of_line}outcome="invalid_token",workspace="W"}} 1.0',
    ):
        assert series in text.splitlines(), series
