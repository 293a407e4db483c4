"""What transactions leave for the event loop."""

from __future__ import annotations

from clarion.delivery.broadcasts.notes import Notes


def test_devices_wait_for_their_pages() -> None:
    notes = Notes()
    for device in (10, 20, 10):
        notes.early(1, device)
    notes.early(2, 10)
    assert notes.ready(lambda task, device: (task, device) == (1, 10)) == [10]
    assert notes.ready(lambda task, _: task == 1) == [20]
    assert notes.ready(lambda _, __: True) == [10]
    assert notes.ready(lambda _, __: True) == []


def test_a_recall_waits_for_nothing() -> None:
    notes = Notes()
    notes.recalled(7)
    notes.early(1, 8)
    assert notes.ready(lambda _, __: False) == [7]
    assert notes.ready(lambda _, __: False) == []
