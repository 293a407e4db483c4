"""The JSON of a message: which fields there are and what they hold.

Source: Firebase, "projects.messages" of the FCM v1 REST reference; JSON mapping of protocol buffers, version 3, by
which each name may also be written in camelCase.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from clarion.simulators.fcm.errors import Violation

Reader = Callable[[Any, str, list[Violation]], Any]
"""Reads a value at a path: the value with names in snake_case; what is wrong is added to the list."""

_DURATION = re.compile(r"-?\d{1,12}(\.\d{1,9})?s")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_INTEGER = re.compile(r"-?\d{1,10}")
_INT32 = 1 << 31
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_TYPES = "type.googleapis.com/google.firebase.fcm.v1."


def _wrong(found: list[Violation], path: str, kind: str, value: Any) -> None:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    found.append(Violation(path, f"Invalid value at '{path}' ({kind}), {shown[:100]}"))


def _scalar(kind: str, good: Callable[[Any], bool]) -> Reader:
    def read(value: Any, path: str, found: list[Violation]) -> Any:
        if not good(value):
            _wrong(found, path, kind, value)
        return value

    return read


def _is_integer(value: Any) -> bool:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and -_INT32 <= value < _INT32


STRING = _scalar("TYPE_STRING", lambda value: isinstance(value, str))
BOOL = _scalar("TYPE_BOOL", lambda value: isinstance(value, bool))
INT = _scalar("TYPE_INT32", _is_integer)
FLOAT = _scalar("TYPE_FLOAT", lambda value: isinstance(value, int | float) and not isinstance(value, bool))
STRUCT = _scalar("type.googleapis.com/google.protobuf.Struct", lambda value: isinstance(value, dict))
DURATION = _scalar(
    "type.googleapis.com/google.protobuf.Duration",
    lambda value: isinstance(value, str) and _DURATION.fullmatch(value) is not None,
)
TIMESTAMP = _scalar(
    "type.googleapis.com/google.protobuf.Timestamp",
    lambda value: isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None,
)


def _enum(name: str, *values: str) -> Reader:
    return _scalar(_TYPES + name, lambda value: isinstance(value, str) and value.upper() in values)


def _map(value: Any, path: str, found: list[Violation]) -> Any:
    """A map of string to string."""
    if not isinstance(value, dict):
        _wrong(found, path, "map", value)
        return {}
    for number, item in enumerate(value.values()):
        STRING(item, f"{path}[{number}].value", found)
    return value


def _list(of: Reader) -> Reader:
    def read(value: Any, path: str, found: list[Violation]) -> Any:
        if not isinstance(value, list):
            _wrong(found, path, "list", value)
            return []
        return [of(item, f"{path}[{number}]", found) for number, item in enumerate(value)]

    return read


def _message(**fields: Reader) -> Reader:
    def read(value: Any, path: str, found: list[Violation]) -> Any:
        if not isinstance(value, dict):
            _wrong(found, path, "message", value)
            return {}
        result = {}
        for given, item in value.items():
            name = given if given in fields else _CAMEL.sub(lambda match: f"_{match[1].lower()}", given)
            reader = fields.get(name)
            if reader is None:
                text = f'Invalid JSON payload received. Unknown name "{given[:100]}"'
                found.append(
                    Violation(
                        path, f"{text} at '{path}': Cannot find field." if path else f"{text}: Cannot find field."
                    )
                )
            elif item is not None:
                result[name] = reader(item, f"{path}.{name}" if path else name, found)
        return result

    return read


_COLOR = _message(red=FLOAT, green=FLOAT, blue=FLOAT, alpha=FLOAT)

_ANDROID_NOTIFICATION = _message(
    title=STRING,
    body=STRING,
    icon=STRING,
    color=STRING,
    sound=STRING,
    tag=STRING,
    click_action=STRING,
    body_loc_key=STRING,
    body_loc_args=_list(STRING),
    title_loc_key=STRING,
    title_loc_args=_list(STRING),
    channel_id=STRING,
    ticker=STRING,
    sticky=BOOL,
    event_time=TIMESTAMP,
    local_only=BOOL,
    notification_priority=_enum(
        "AndroidNotification.NotificationPriority",
        "PRIORITY_UNSPECIFIED",
        "PRIORITY_MIN",
        "PRIORITY_LOW",
        "PRIORITY_DEFAULT",
        "PRIORITY_HIGH",
        "PRIORITY_MAX",
    ),
    default_sound=BOOL,
    default_vibrate_timings=BOOL,
    default_light_settings=BOOL,
    vibrate_timings=_list(DURATION),
    visibility=_enum("AndroidNotification.Visibility", "VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
    notification_count=INT,
    light_settings=_message(color=_COLOR, light_on_duration=DURATION, light_off_duration=DURATION),
    image=STRING,
    bypass_proxy_notification=BOOL,
    proxy=_enum("AndroidNotification.Proxy", "PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
)

_OPTIONS = _message(analytics_label=STRING)

_ANDROID = _message(
    collapse_key=STRING,
    priority=_enum("AndroidMessagePriority", "NORMAL", "HIGH"),
    ttl=DURATION,
    restricted_package_name=STRING,
    data=_map,
    notification=_ANDROID_NOTIFICATION,
    fcm_options=_OPTIONS,
    direct_boot_ok=BOOL,
    bandwidth_constrained_ok=BOOL,
    restricted_satellite_ok=BOOL,
)

_WEBPUSH = _message(
    headers=_map,
    data=_map,
    notification=STRUCT,
    fcm_options=_message(link=STRING, analytics_label=STRING),
)

_APNS = _message(
    headers=_map,
    payload=STRUCT,
    fcm_options=_message(analytics_label=STRING, image=STRING),
    live_activity_token=STRING,
)

REQUEST = _message(
    validate_only=BOOL,
    message=_message(
        name=STRING,
        data=_map,
        notification=_message(title=STRING, body=STRING, image=STRING),
        android=_ANDROID,
        webpush=_WEBPUSH,
        apns=_APNS,
        fcm_options=_OPTIONS,
        token=STRING,
        topic=STRING,
        condition=STRING,
        fid=STRING,
    ),
)
"""The body of `messages:send`."""
