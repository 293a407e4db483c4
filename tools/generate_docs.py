"""Write the parts of the documents that say what the code says.

`python -m tools.generate_docs` rewrites them; with `--check` it names the documents that are stale and exits 1.
A part stands between `<!-- generated: name -->` and `<!-- end: name -->`; the words around it are written by hand.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from tests.sdk.cases import success_code

from clarion.app import Server
from clarion.channels.opening import FOLDERS
from clarion.clock import SystemClock
from clarion.delivery.broadcasts.model import MOVES as BROADCAST_MOVES
from clarion.delivery.broadcasts.model import BroadcastState
from clarion.delivery.states import MOVES as MESSAGE_MOVES
from clarion.delivery.states import OPEN, MessageStatus, Outcome, Stage
from clarion.foundation import Foundation
from clarion.link.protocol import Failure
from clarion.link.session import MOVES as SESSION_MOVES
from clarion.link.session import State
from clarion.observability.metrics import Metrics
from clarion.openapi.actions.analytics import analytics_actions
from clarion.openapi.actions.devices import device_actions
from clarion.openapi.actions.pushes import push_actions
from clarion.openapi.actions.revocation import revocation_actions
from clarion.openapi.actions.schedules import schedule_actions
from clarion.openapi.actions.templates import template_actions
from clarion.openapi.errors import GatewayFault
from clarion.openapi.registry import VERSIONS, Action, Registry
from clarion.openapi.schema import Kind
from clarion.results import ResultCode
from clarion.schedules.model import MOVES as FIRE_MOVES
from clarion.schedules.model import FireState
from clarion.settings import PREFIX, Settings
from tools import channel_tables
from tools import coverage_table as tested
from tools import doc_facts as facts

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "clarion"
PUSHES = ("simple", "template", "multiple", "broadcast")
MOST_TESTS = 4
"""Most tests that are named in one place of a page."""

Parts = Mapping[str, str]
"""Generated texts of one document, by name."""


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    heads = list(columns)
    lines = [heads, ["---"] * len(heads), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def code(value: object) -> str:
    """Markdown for a literal; nothing for an empty one."""
    return f"`{value}`" if str(value) else ""


def architecture() -> Parts:
    """The state machines as diagrams."""
    return {
        "message states": _diagram(
            {status: moves for status, moves in MESSAGE_MOVES.items() if status is not MessageStatus.NONE},
            [status for status in MessageStatus if status in OPEN],
            lambda status: f"{status.value} {status.label}",
        ),
        "broadcast states": _diagram(BROADCAST_MOVES, [BroadcastState.RUNNING], lambda state: state.name.lower()),
        "fire states": _diagram(FIRE_MOVES, [FireState.WAITING], lambda state: state.label),
        "session states": _diagram(SESSION_MOVES, [State.AWAITING_HELLO], lambda state: state.value),
    }


def _diagram(moves: Mapping[Any, frozenset[Any]], first: list[Any], label: Callable[[Any], str]) -> str:
    lines = [f'    state "{label(state)}" as {state.name}' for state in moves]
    lines += [f"    [*] --> {state.name}" for state in first]
    lines += [
        f"    {state.name} --> {to.name}" for state, targets in moves.items() for to in moves if to in targets
    ]
    lines += [f"    {state.name} --> [*]" for state, targets in moves.items() if not targets]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def errors() -> Parts:
    """Every code that a caller, a device or an operator can meet."""
    given, raised = used("ResultCode"), used("GatewayFault")
    return {
        "result codes": table(
            ("code", "name", "text", "when", "today"),
            ((code(r.code), r.name, r.text, r.trigger, "yes" if r.name in given else "–") for r in ResultCode),
        ),
        "gateway errors": table(
            ("HTTP", "code", "message", "when", "today"),
            (
                (f.status, code(f.code), f.message, facts.WHEN[f], "yes" if f.name in raised else "–")
                for f in GatewayFault
            ),
        ),
        "message statuses": table(
            ("status", "name", "meaning"),
            ((code(s.value), s.label, facts.STATUSES[s]) for s in MessageStatus),
        ),
        "trace stages": table(("stage", "what happened"), ((code(s.value), facts.STAGES[s]) for s in Stage)),
        "trace outcomes": table(
            ("outcome", "cause", "next step"), ((code(o.label), o.cause, o.next_step) for o in Outcome)
        ),
        "close codes": table(
            ("close", "`error`", "why", "what the device does"),
            (
                (f.close_code, code(f.error_code or ""), *facts.FAILURES[f])
                for f in sorted(Failure, key=lambda f: f.close_code)
            ),
        ),
    }


def used(enum: str) -> frozenset[str]:
    """Members of an enum that the program names anywhere, which is: can give."""
    found = re.compile(rf"\b{enum}\.([A-Z0-9_]+)")
    return frozenset(name for file in SOURCE.rglob("*.py") for name in found.findall(file.read_text("utf-8")))


def coverage() -> Parts:
    """Every action and version; parameters, result codes and tests of those that are served."""
    served = {action.name: action for action in registry()}
    return {
        "actions": table(
            ("action", *VERSIONS, "today", "role of the key", "what it does"),
            (
                (
                    name,
                    *("yes" if version in versions else "–" for version in VERSIONS),
                    "**served**" if name in served else "not yet",
                    served[name].role.value if name in served else "",
                    does,
                )
                for name, versions, does in facts.ACTIONS
            ),
        ),
        "parameters": "\n\n".join(
            f"### {name}\n\n{_versions(name)}\n\n{_parameters(action)}\n\n{_codes(name)}"
            for name, action in served.items()
        ),
    }


def _parameters(action: Action) -> str:
    flattened = "JSON or flattened"
    texts = {Kind.ANY: flattened, Kind.STATE: flattened, Kind.LENIENT: "long or text", Kind.STRUCTS: "list"}
    return table(
        ("parameter", "type", "required", "today", "tests"),
        (
            (
                code(parameter.name),
                texts.get(parameter.kind, parameter.kind.value),
                "yes" if parameter.required else "",
                facts.PARAMETERS.get(f"{action.name}.{parameter.name}", facts.PARAMETERS.get(parameter.name, "")),
                _tests(tested.tests_of_parameter(action.name, parameter.name)),
            )
            for parameter in action.schema.parameters
        ),
    )


def _versions(name: str) -> str:
    tests = [test for version in VERSIONS for test in tested.tests_of_version(name, version)]
    return f"Versions: {_tests(tests)}."


def _codes(name: str) -> str:
    return table(
        ("code", "name", "tests"),
        (
            (
                code(success_code(name) if r is ResultCode.SUCCESS else r.code),
                r.name,
                _tests(tested.tests_of_code(name, r)),
            )
            for r in tested.codes_of(name)
        ),
    )


def _tests(names: Sequence[str]) -> str:
    """Names of tests; those of the file that has most stand without it."""
    shown = [code(name.removeprefix(f"{tested.FILE}::")) for name in names[:MOST_TESTS]]
    return ", ".join(shown) + (f" and {more} more" if (more := len(names) - MOST_TESTS) > 0 else "")


def registry(behind: Any = None) -> Registry:
    """The actions of a server, with `behind` them in the place of every capability."""
    nothing: Any = behind or SimpleNamespace(**dict.fromkeys(f"push_{kind}" for kind in PUSHES))
    return Registry(
        [
            *push_actions(nothing),
            *revocation_actions(nothing),
            *device_actions(nothing, nothing),
            *template_actions(nothing, nothing),
            *schedule_actions(nothing, nothing),
            *analytics_actions(nothing, nothing),
        ]
    )


def operations() -> Parts:
    """Settings and metrics."""
    meanings = _attributes(Settings)
    fields = msgspec.structs.fields(Settings)
    return {
        "settings": table(
            ("name", "environment", "default", "meaning"),
            (
                (code(f.name), code(PREFIX + f.name.upper()), code(_shown(f.default)), meanings[f.name])
                for f in fields
            ),
        ),
        "metrics": table(("metric", "type", "labels", "meaning"), _metrics()),
    }


def _attributes(kind: type) -> dict[str, str]:
    """What a class's docstring says of each attribute."""
    lines = inspect.cleandoc((inspect.getdoc(kind) or "").partition("Attributes:\n")[2])
    joined = re.sub(r"\n +", " ", lines)
    return {name: text.rstrip(".") for name, text in re.findall(r"^(\w+): (.+)$", joined, re.MULTILINE)}


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    if isinstance(value, Enum):
        return str(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _metrics() -> Iterable[tuple[str, str, str, str]]:
    metrics = Metrics(["PushSimple"])
    nothing = cast(Any, None)
    server = Server(Foundation(Settings(), SystemClock(), nothing, nothing, bytes(32)))
    server._add_gauges(metrics)  # noqa: SLF001
    collectors: Iterable[Any] = metrics.registry._collector_to_names  # noqa: SLF001
    named = [each for each in collectors if hasattr(each, "_labelnames")]
    declared: dict[str, Sequence[str]] = {each._name: each._labelnames for each in named}  # noqa: SLF001
    for metric in metrics.registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        labels = sorted({label for sample in metric.samples for label in sample.labels} - {"le"})
        # Of series that come with what they are about:
        labels = labels or list(declared.get(metric.name, getattr(metric, "_labelnames", ())))
        yield code(name), metric.type, ", ".join(map(code, labels)), metric.documentation


def channel(label: str) -> Parts:
    """What each code of a vendor comes to."""
    heads = ("outcome", "meaning", "what Clarion does", "what you can do")
    return {
        "codes": "\n\n".join(
            table((head, *heads), ((code(row.code), code(row.outcome), *row[2:]) for row in rows))
            for head, rows in channel_tables.tables(label)
        )
    }


DOCUMENTS: Mapping[str, Callable[[], Parts]] = {
    "docs/architecture.md": architecture,
    "docs/coverage.md": coverage,
    "docs/errors.md": errors,
    "docs/operations.md": operations,
    **{f"docs/channels/{label}.md": partial(channel, label) for label in FOLDERS},
}


def render(text: str, parts: Parts) -> str:
    """`text` with its generated parts made anew.

    Raises:
        ValueError: the document has no place for a part, or a place for one that there is not.
    """
    places = re.findall(r"^<!-- generated: (.+) -->$", text, re.MULTILINE)
    if sorted(places) != sorted(parts):
        raise ValueError(f"places {sorted(places)} for the parts {sorted(parts)}")
    for name, part in parts.items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{part}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate_docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something is stale")
    check = parser.parse_args().check
    stale = []
    for name, parts in DOCUMENTS.items():
        file = ROOT / name
        text = file.read_text("utf-8")
        fresh = render(text, parts())
        if fresh != text:
            stale.append(name)
            if not check:
                file.write_text(fresh, "utf-8")
    for name in stale:
        print(f"{name} is stale; run `make docs`" if check else f"wrote {name}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
