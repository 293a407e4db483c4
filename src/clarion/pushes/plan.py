"""What a push comes to once its rules are kept: carried out now, or stored and carried out when it is due."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from clarion.channels.message import LINK_ONLY, PushContent, encode_content
from clarion.delivery.accept import NewMessage, NewTask, TargetType
from clarion.delivery.broadcasts.model import Announcement
from clarion.delivery.series import PushKind
from clarion.delivery.sms.rules import SmsStrategy
from clarion.ids import IdGenerator


class Target(NamedTuple):
    """One target and the caller's key for its message."""

    target: str
    msg_key: str


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A push that may be carried out at any time.

    Attributes:
        kind: simple, template, multiple or broadcast.
        task_name: the caller's name for it.
        target_type: what the targets name.
        validity_seconds: how long its messages may wait, from the time at which it is carried out.
        contents: one message for all targets, or one for each (a multiple push).
        targets: who gets it; none for a broadcast.
        template: id of the template that the contents were made with.
        template_name: its name.
        announcement: what makes it a broadcast.
    """

    kind: PushKind
    task_name: str
    target_type: TargetType
    validity_seconds: int
    contents: tuple[PushContent, ...]
    targets: tuple[Target, ...] = ()
    template: int | None = None
    template_name: str | None = None
    announcement: Announcement | None = None

    def task(
        self, app: int, request_id: str, ids: IdGenerator, created_at: int, *, scheduled: bool = False
    ) -> NewTask:
        """The task that carries the plan out.

        Args:
            app: internal number of the app.
            request_id: id of the request that brought the plan.
            ids: numbers of the task and its messages.
            created_at: ms; the validity begins here.
            scheduled: whether a schedule brought it.
        """
        contents, first = [encode_content(content) for content in self.contents], self.contents[0]
        own = contents if self.kind is PushKind.MULTIPLE else [None] * len(self.targets)
        messages = [
            NewMessage(ids.next(), target.target, target.msg_key, content)
            for target, content in zip(self.targets, own, strict=True)
        ]
        task = ids.next()
        return NewTask(
            task=task,
            app=app,
            kind=self.kind.value,
            name=self.task_name,
            target_type=self.target_type,
            content=contents[0],
            answer=str(task) if self.kind in (PushKind.MULTIPLE, PushKind.BROADCAST) else None,
            request_id=request_id,
            created_at=created_at,
            expires_at=created_at + self.validity_seconds * 1000,
            messages=messages,
            template=self.template,
            template_name=self.template_name,
            scheduled=scheduled,
            link_only=first.notify_type == LINK_ONLY,
            announcement=self.announcement,
            sms=SmsStrategy(first.sms.strategy) if first.sms else SmsStrategy.NONE,
        )
