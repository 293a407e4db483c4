"""A message as HarmonyOS Push Kit wants it. Pure.

Source: "Request body" of the Push Kit REST API for scenario-based messages, version 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from clarion.channels.harmony.errors import IMAGE_NOT_VERIFIED, OF_A_CATEGORY, OF_A_PICTURE, OF_SILENCE
from clarion.channels.harmony.settings import HarmonySettings
from clarion.channels.huawei_family import (
    Digest,
    Names,
    Tap,
    data_notes,
    data_text,
    digest,
    measured,
    ttl_of,
)
from clarion.channels.message import PushContent
from clarion.channels.multicast import Rendered, Stamp
from clarion.channels.text import notify_id

NAMES = Names("HarmonyOS", ("harmonyos", "harmony"), ("harmonyosUrl", "defaultUrl"), https_only=False)

ALERT = {"push-type": "0"}
BACKGROUND = {"push-type": "6"}
"""Kinds of message."""


def render(settings: HarmonySettings, content: PushContent, stamp: Stamp) -> Rendered:
    """A request but for its tokens; one with a picture has a form without it to fall back on.

    Raises:
        Unsendable: HarmonyOS would not take it.
    """
    if content.silent == 1:
        notes = data_notes(content, NAMES)
        if content.data_urgency:
            notes.append("TransparentMessageUrgency: HarmonyOS has no place for it")
        form = _form(settings, {"extraData": data_text(content, stamp)}, stamp, notes, BACKGROUND)
        return replace(form, chosen=OF_SILENCE)
    digested = digest(content, NAMES)
    notification = _notification(settings, content, stamp, digested)
    notes = digested.notes
    chosen = OF_A_CATEGORY if digested.category else frozenset()
    form = replace(_form(settings, {"notification": notification}, stamp, notes, ALERT), chosen=chosen)
    if "image" not in notification:
        return form
    del notification["image"]
    plain = _form(settings, {"notification": notification}, stamp, [*notes, _NO_IMAGE], ALERT)
    plain = replace(plain, chosen=chosen)
    return replace(form, chosen=chosen | OF_A_PICTURE, instead={IMAGE_NOT_VERIFIED: plain})


_NO_IMAGE = "picture: Huawei has not checked it, and does not show it"


def _form(
    settings: HarmonySettings, payload: dict[str, Any], stamp: Stamp, notes: list[str], headers: dict[str, str]
) -> Rendered:
    options: dict[str, Any] = {"ttl": ttl_of(stamp, notes), "biTag": str(stamp.task)}
    if settings.receipt_id:
        options["receiptId"] = settings.receipt_id
    if settings.test_messages:
        options["testMessage"] = True
    message = msgspec.json.encode({"payload": payload, "pushOptions": options})
    return measured(
        Rendered(message[:-1] + b',"target":{"token":', b"}}", tuple(dict.fromkeys(notes)), headers), NAMES.vendor
    )


def _notification(
    settings: HarmonySettings, content: PushContent, stamp: Stamp, digested: Digest
) -> dict[str, Any]:
    notes = digested.notes
    sound = content.params.get("sound")
    optional: dict[str, Any] = {"image": digested.picture}
    if stamp.msg_key:
        number = notify_id(stamp.msg_key)
        # The second name makes a message that is sent twice appear once.
        optional |= {"notifyId": number, "appMessageId": f"{stamp.task}-{number}"}
    if isinstance(sound, str) and sound and "/" not in sound:
        optional["sound"] = sound
    elif sound is not None:
        notes.append("sound: HarmonyOS takes the name of a file of the app")
    badge = {"addNum": digested.badge_add, "setNum": digested.badge}
    optional["badge"] = {name: number for name, number in badge.items() if number is not None}
    if digested.level:
        notes.append("NotifyLevel: HarmonyOS goes by the category alone")
    if content.channel_id:
        notes.append("ChannelId: HarmonyOS has no place for it")
    return {
        "category": digested.category or settings.category,
        "title": content.title,
        "body": content.content,
        "clickAction": _click(digested),
        **{name: value for name, value in optional.items() if value},
    }


def _click(digested: Digest) -> dict[str, Any]:
    data = dict(digested.extras)
    if digested.tap is Tap.PAGE:
        name = "uri" if "://" in digested.link else "action"
        click: dict[str, Any] = {"actionType": 1, name: digested.link}
    else:
        click = {"actionType": 0}
        if digested.tap is Tap.WEB:
            data.setdefault("uri", digested.link)
    return {**click, "data": data} if data else click
