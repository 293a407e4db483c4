"""The shape of the house: imports go one way, modules are small and say what they are for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import clarion

ROOT = Path(clarion.__file__).parent

FACES = ("openapi", "console", "link", "receipts")
CAPABILITIES = ("callbacks", "pushes", "templates", "devices", "schedules", "revocation", "analytics", "tenants")
BASE = ("clock", "ids", "results", "failures", "vault", "settings", "text", "observability", "__init__")
FLOORS: tuple[tuple[str, ...], ...] = (
    BASE,
    ("bus",),
    ("store",),
    ("simulators",),
    ("http2",),
    ("channels",),
    ("delivery",),
    CAPABILITIES,
    FACES,
    ("web",),
    ("foundation",),
    ("engine",),
    ("app", "jobs"),
    ("cli", "__main__"),
)
"""From the ground up; a room may import its own floor and those below. Faces do not import each other."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(ROOT.rglob("*.py"))
MIGRATIONS = ROOT / "store" / "migrations"
VENDORS = re.compile(r"\b(apns|fcm|hms|miui|oppo|vivo|honor)\b", re.IGNORECASE)


def _room(module: Path) -> str:
    return module.relative_to(ROOT).parts[0].removesuffix(".py")


def _name(module: Path) -> str:
    return str(module.relative_to(ROOT))


def _imported(module: Path) -> set[str]:
    """Rooms that a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            if node.module == "clarion":
                names |= {f"clarion.{alias.name}" for alias in node.names}
            elif node.module is not None:
                names.add(node.module)
    rooms = {name.split(".")[1] for name in names if name.startswith("clarion.")}
    return {room if room in FLOOR else "__init__" for room in rooms}


def test_the_house_is_found() -> None:
    assert len(MODULES) > 50
    assert {_room(module) for module in MODULES} <= set(FLOOR), "a new room needs a floor"


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_imports_go_downwards(module: Path) -> None:
    room = _room(module)
    for imported in _imported(module) - {room}:
        assert FLOOR[imported] <= FLOOR[room], f"{_name(module)} imports {imported}"
        assert not (room in FACES and imported in FACES), f"{_name(module)} imports the face {imported}"


@pytest.mark.parametrize("module", [m for m in MODULES if MIGRATIONS not in m.parents], ids=_name)
def test_modules_are_small_and_say_what_they_are_for(module: Path) -> None:
    text = module.read_text("utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


_NAMED_ELSEWHERE = {
    "devices/service.py": "an iOS device's token is its address at Apple",
    "delivery/activities.py": "live activities are Apple's, and there is one way to them",
    "cli/device.py": "the choices that the command's help lists",
}


@pytest.mark.parametrize("module", [m for m in MODULES if _room(m) not in ("channels", "simulators")], ids=_name)
def test_vendors_are_named_by_their_channels_alone(module: Path) -> None:
    """In code; texts and comments may explain by example."""
    tree = ast.parse(module.read_text("utf-8"))
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    named |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    named |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    words = {word for name in named for word in name.split("_") if VENDORS.fullmatch(word)}
    assert bool(words) == (_name(module) in _NAMED_ELSEWHERE), words


def test_a_vendor_word_is_recognised() -> None:
    assert VENDORS.fullmatch("apns")
    assert not VENDORS.fullmatch("links")
