"""What waits: in order for each station, in turns among stations, with room for everyone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.inbox import Arrival, Inbox
from ingest.limits import Limits
from ingest.message import Message, Reason, Rejection


@dataclass(eq=False)
class Sender:
    """One that puts as much as there is room for, whenever it may go on."""

    inbox: Inbox
    station: str
    unacked: int = 0
    unacked_bytes: int = 0
    turns: list[int] = field(default_factory=list)

    def acknowledge(self, packet_ids: Sequence[int]) -> bool:
        return bool(packet_ids)

    def close(self, cause: str) -> None:
        raise AssertionError(cause)

    def go_on(self) -> None:
        count = 0
        while not self.inbox.is_full_for(self):
            self.put(b"")
            count += 1
        self.turns.append(count)
        self.inbox.wait(self)

    def put(self, payload: bytes, received_us: int = 0, rejection: Rejection | None = None) -> None:
        self.inbox.put(Arrival(Message(self.station, payload, received_us, ""), self, rejection=rejection))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.sampled_from("ABCDE"), max_size=80), st.integers(1, 12))
def test_the_inbox_serves_each_line_in_order_and_all_lines_in_turn(arrivals: list[str], limit: int) -> None:
    inbox = Inbox(Limits())
    senders = {station: Sender(inbox, station) for station in "ABCDE"}
    for number, station in enumerate(arrivals):
        senders[station].put(b"%d" % number, number)
    taken: list[Message] = []
    while inbox.size:
        waiting = set(inbox._lines)
        batch = inbox.take(limit)
        assert 0 < len(batch) <= limit
        assert len({arrival.sender.station for arrival in batch}) == min(len(waiting), limit)
        taken += [arrival.message for arrival in batch]
        inbox.release(batch)
    assert sorted(message.received_us for message in taken) == list(range(len(arrivals)))
    for station in "ABCDE":
        order = [message.received_us for message in taken if message.topic == station]
        assert order == sorted(order)
    assert inbox.bytes == 0
    assert all((sender.unacked, sender.unacked_bytes) == (0, 0) for sender in senders.values())


def test_small_batches_go_round_among_many_lines() -> None:
    inbox = Inbox(Limits())
    senders = [Sender(inbox, station) for station in "ABCDE"]
    for _ in range(3):
        for sender in senders:
            sender.put(b"")
    served = [arrival.sender.station for _ in range(5) for arrival in inbox.take(2)]
    assert sorted(served) == list("AABBCCDDEE")


def test_those_who_fill_the_inbox_do_not_shut_out_those_who_wait() -> None:
    inbox = Inbox(Limits(inbox_bytes=10 * 512, unacked_messages=5))
    greedy = [Sender(inbox, f"greedy-{number}") for number in range(4)]
    quiet = Sender(inbox, "quiet")
    for sender in (*greedy, quiet):
        sender.go_on()
    assert (quiet.turns, inbox.is_full) == ([0], True)
    for _ in range(6):
        inbox.release(inbox.take(5))
        inbox.resume()
    assert sum(quiet.turns) > 0
    assert all(sum(sender.turns) > 0 for sender in greedy)


def test_who_is_gone_waits_no_more() -> None:
    inbox = Inbox(Limits(unacked_messages=0))
    gone, here = Sender(inbox, "A"), Sender(inbox, "B")
    inbox.wait(gone)
    inbox.wait(here)
    inbox.forget(gone)
    inbox.forget(gone)
    inbox.resume()
    assert (gone.turns, here.turns) == ([], [0])


def test_refusals_of_one_station_leave_room_for_those_of_another() -> None:
    inbox = Inbox(Limits(refusals_per_station=2))
    bad = Sender(inbox, "A")
    for _ in range(2):
        assert inbox.has_room_for_refusal("A")
        bad.put(b"", rejection=Rejection(Reason.NOT_MQTT, ""))
    assert not inbox.has_room_for_refusal("A")
    assert inbox.has_room_for_refusal("B")
    batch = inbox.take(10)
    assert not inbox.has_room_for_refusal("A")
    inbox.release(batch)
    assert inbox.has_room_for_refusal("A")
    assert inbox._refusals == {}
