"""Requests with one thing changed."""

from __future__ import annotations

from copy import deepcopy
from enum import Enum
from typing import Any


class Gone(Enum):
    """Stands for a member that is taken away."""

    GONE = "gone"


GONE = Gone.GONE


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a JSON object with another value at a path with dots; `GONE` takes the member away."""
    copy = deepcopy(request)
    *way, last = path.split(".")
    place = copy
    for name in way:
        place = place.setdefault(name, {})
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return copy
