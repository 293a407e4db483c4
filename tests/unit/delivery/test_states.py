"""The states of a message: one table, and the store's partial index says the same."""

from __future__ import annotations

import re

import pytest

from clarion.delivery.states import MOVES, OPEN, OUTCOMES, MessageStatus, Outcome
from clarion.store.schema import OPEN_STATUSES


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(MessageStatus)
    assert all(status not in moves for status, moves in MOVES.items())


def test_a_message_ends() -> None:
    ends = {status for status, moves in MOVES.items() if not moves}
    assert ends == {
        MessageStatus.ACKED,
        MessageStatus.EXCEPTION,
        MessageStatus.MSG_EXPIRED,
        MessageStatus.REVOKED,
        MessageStatus.NONE,
    }
    assert all(MessageStatus.MSG_EXPIRED in MOVES[status] for status in set(MessageStatus) - ends)
    assert all(MessageStatus.REVOKED in MOVES[status] for status in set(MessageStatus) - ends)


def test_the_index_covers_the_open_states() -> None:
    assert {int(number) for number in re.findall(r"\d+", OPEN_STATUSES)} == set(OPEN)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (-1, "WaitingForVerify"),
        (0, "DeviceNotOnlineOrNoResponse"),
        (1, "NoBindInfo"),
        (2, "Acked"),
        (99999999, "NONE"),
    ],
)
def test_documented_names(number: int, name: str) -> None:
    assert MessageStatus(number).label == name


def test_every_outcome_is_explained() -> None:
    assert len(OUTCOMES) == len(Outcome)
    assert all(outcome.cause.endswith(".") for outcome in Outcome)
    fine = {Outcome.ON_DISK, Outcome.QUEUED, Outcome.DELIVERED, Outcome.REPORTED}
    fine |= {Outcome.TAKEN, Outcome.REVOKED, Outcome.RECALLED, Outcome.SUPERSEDED}
    fine |= {Outcome.CONFIRMED, Outcome.SMS_WAITING, Outcome.SMS_NOT_NEEDED, Outcome.SMS_TAKEN, Outcome.SMS_ARRIVED}
    assert all(outcome.next_step.endswith(".") for outcome in set(Outcome) - fine)
