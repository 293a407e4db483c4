"""Figures of the lines of a process, for its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from clarion.clock import Clock
from clarion.delivery.vendors.line import Line
from clarion.delivery.vendors.lines import LineName
from clarion.delivery.vendors.pacing import BreakerState
from clarion.delivery.vendors.wording import OUTCOME_OF
from clarion.observability.lines import LineFigures


def line_figures(
    lines: Mapping[LineName, Line],
    keeps_tokens: Callable[[LineName], bool],
    names: Callable[[int], tuple[str, str] | None],
    clock: Clock,
) -> Iterator[LineFigures]:
    """The figures of lines.

    Args:
        lines: those that are open.
        keeps_tokens: whether refused tokens of a channel are kept now.
        names: ids of an app and its workspace, by the app's internal number; None for one that is gone.
        clock: for pauses.
    """
    now = clock.monotonic()
    for name, line in sorted(lines.items(), key=lambda item: item[0]):
        known = names(name.app)
        if known is None:
            continue
        yield LineFigures(
            *known,
            name.channel,
            waiting=line.waiting,
            in_flight=line.in_flight,
            paused=line.pace.paused(now),
            rate=line.pace.rate,
            tokens_kept=keeps_tokens(name),
            breaker={state.value: state is line.breaker.state for state in BreakerState},
            outcomes={outcome.label: line.tally[kind] for kind, outcome in OUTCOME_OF.items()},
        )
