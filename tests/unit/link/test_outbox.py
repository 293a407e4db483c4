from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clarion.link.outbox import Outbox


def drained(window: int = 4) -> Outbox:
    outbox = Outbox(window)
    outbox.next_read()
    outbox.end_page(complete=True)
    assert not outbox.wants_pass
    return outbox


def test_a_new_connection_begins_with_a_pass_over_the_whole_inbox() -> None:
    outbox = Outbox(4)
    assert outbox.wants_pass
    assert outbox.next_read() == 0


def test_an_offer_goes_out_at_once_when_nothing_waits() -> None:
    outbox = drained()
    assert outbox.offer(5)
    assert not outbox.offer(5)
    assert not outbox.wants_pass


def test_an_offer_during_a_pass_asks_for_another_one() -> None:
    outbox = Outbox(4)
    outbox.next_read()
    assert not outbox.offer(5)
    outbox.end_page(complete=True)
    assert outbox.wants_pass
    assert outbox.next_read() == 4


def test_a_late_message_below_one_already_sent_is_fetched() -> None:
    outbox = drained()
    assert outbox.offer(10)
    assert not outbox.offer(9)
    assert outbox.next_read() == 8
    assert outbox.admit(9)
    assert not outbox.admit(10)


def test_a_full_window_or_socket_holds_back() -> None:
    outbox = drained(window=1)
    assert outbox.offer(1)
    assert not outbox.has_room
    assert not outbox.offer(2)
    assert outbox.acknowledge([1]) == [1]
    assert outbox.offer(2) is False  # the pass that the first offer asked for comes first


def test_a_full_socket_holds_back() -> None:
    outbox = drained()
    outbox.blocked = True
    assert not outbox.has_room
    assert not outbox.offer(1)
    assert outbox.wants_pass


def test_an_acknowledged_message_is_not_sent_again_before_the_inbox_knows() -> None:
    outbox = drained()
    outbox.offer(5)
    assert outbox.acknowledge([5, 6]) == [5]
    assert outbox.acknowledge([5]) == []
    outbox.look_again()
    outbox.next_read()
    assert not outbox.admit(5)
    outbox.end_page(complete=True)
    outbox.settled([5])
    assert not outbox.offer(5)  # the inbox has the last word on whether it is still wanted
    assert outbox.wants_pass


WINDOW, PAGE = 3, 2


class Deliveries(RuleBasedStateMachine):
    """Commits (also of late ids), reads, acknowledgements and wake-ups in any interleaving."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(WINDOW)
        self.inbox: set[int] = set()
        self.committed: set[int] = set()
        self.sent: list[int] = []
        self.unacked: list[int] = []
        self.recording: list[int] = []
        self.page: list[int] | None = None

    def send(self, message: int) -> None:
        self.sent.append(message)
        self.unacked.append(message)

    @rule(message=st.integers(1, 40))
    def commit(self, message: int) -> None:
        if message not in self.committed:
            self.committed.add(message)
            self.inbox.add(message)
            if self.outbox.offer(message):
                self.send(message)

    @rule()
    def wake(self) -> None:
        self.outbox.look_again()

    @precondition(lambda self: self.page is None and self.outbox.wants_pass and self.outbox.has_room)
    @rule()
    def read(self) -> None:
        after = self.outbox.next_read()
        self.page = sorted(message for message in self.inbox if message > after)[:PAGE]

    @precondition(lambda self: self.page is not None)
    @rule()
    def take(self) -> None:
        entries, self.page = self.page or [], None
        complete = len(entries) < PAGE
        for message in entries:
            if not self.outbox.has_room:
                complete = False
                break
            if self.outbox.admit(message):
                self.send(message)
        self.outbox.end_page(complete=complete)

    @precondition(lambda self: self.unacked)
    @rule()
    def acknowledge(self) -> None:
        message = self.unacked.pop(0)
        assert self.outbox.acknowledge([message, 99]) == [message]
        self.recording.append(message)

    @precondition(lambda self: self.recording)
    @rule()
    def record(self) -> None:
        message = self.recording.pop(0)
        self.inbox.discard(message)
        self.outbox.settled([message])

    @invariant()
    def sent_once_within_the_window(self) -> None:
        assert len(set(self.sent)) == len(self.sent)
        assert len(self.unacked) <= WINDOW

    def teardown(self) -> None:
        """Let everything through: nothing is left behind."""
        while self.page is not None or self.outbox.wants_pass or self.unacked or self.recording:
            if self.page is not None:
                self.take()
            elif self.outbox.wants_pass and self.outbox.has_room:
                self.read()
            elif self.unacked:
                self.acknowledge()
            else:
                self.record()
        assert sorted(self.sent) == sorted(self.committed)
        assert not self.inbox


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
