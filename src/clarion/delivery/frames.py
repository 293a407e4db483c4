"""The message as a device on the own link sees it (docs/link-protocol.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from clarion.channels.message import PushContent


class PushFrame(msgspec.Struct, frozen=True, tag_field="type", tag="push", rename="camel"):
    """A `push` frame."""

    id: str
    msg_key: str
    task_id: str
    title: str
    content: str
    uri: str
    action: int
    silent: int
    style: int
    icon: str
    image: str
    channel_id: str
    notify_type: str
    expire: int
    params: dict[str, Any]


_encoder = msgspec.json.Encoder()


def push_frame(message: int, msg_key: str, task: int, expires_at: int, content: PushContent) -> bytes:
    """The JSON text of a push frame for one message."""
    return _encoder.encode(
        PushFrame(
            id=str(message),
            msg_key=msg_key,
            task_id=str(task),
            title=content.title,
            content=content.content,
            uri=content.uri,
            action=content.action,
            silent=content.silent,
            style=content.style,
            icon=content.icons.get("defaultUrl", ""),
            image=content.images.get("defaultUrl", ""),
            channel_id=content.channel_id,
            notify_type=content.notify_type,
            expire=expires_at,
            params=content.params,
        )
    )
