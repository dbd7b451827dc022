"""What waits: in order for each station, in turns among stations, with room for everyone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ingest.inbox import BATCH_S, Arrival, Inbox
from ingest.limits import Limits
from ingest.message import Message, Reason, Rejection
from tests.builders import thorough


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


@thorough(100)
@given(st.lists(st.sampled_from("ABCDE"), max_size=80), st.integers(1, 12))
def test_the_inbox_serves_each_line_in_order_and_all_lines_in_turn(arrivals: list[str], limit: int) -> None:
    inbox = Inbox(Limits(batch_messages=limit))
    senders = {station: Sender(inbox, station) for station in "ABCDE"}
    for number, station in enumerate(arrivals):
        senders[station].put(b"%d" % number, number)
    taken: list[Message] = []
    while inbox.size:
        waiting = set(inbox._lines)
        batch = inbox.take()
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


@thorough(100)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 3_000)), min_size=1, max_size=60))
def test_a_batch_is_bounded_in_bytes_and_in_order_and_every_line_gets_its_share(sent: list[tuple[str, int]]) -> None:
    bound, largest = 6_000, 3_000
    inbox = Inbox(Limits(batch_bytes=bound))
    senders = {station: Sender(inbox, station) for station in "ABC"}
    for number, (station, length) in enumerate(sent):
        senders[station].put(bytes(length), number)
    taken: list[Message] = []
    passed_over: Counter[str] = Counter()
    while inbox.size:
        waiting = set(inbox._lines)
        batch = inbox.take()
        assert batch
        assert sum(len(arrival.message.payload) for arrival in batch) < bound + largest
        served = {arrival.sender.station for arrival in batch}
        passed_over = Counter({station: passed_over[station] + 1 for station in waiting - served})
        assert max(passed_over.values(), default=0) <= 1
        taken += [arrival.message for arrival in batch]
        inbox.release(batch)
    for station in "ABC":
        order = [message.received_us for message in taken if message.topic == station]
        assert order == [number for number, (name, _) in enumerate(sent) if name == station]
    assert (inbox.bytes, inbox.size) == (0, 0)


def test_a_small_message_waits_for_one_batch_however_many_packs_wait_before_it() -> None:
    inbox = Inbox(Limits(batch_bytes=6_000))
    inbox.learn(1_000.0)  # the batch before was dear: no more than a part of the bound is taken
    for number in range(40):
        logger = Sender(inbox, f"returning-{number}")
        for _ in range(3):
            logger.put(bytes(2_000))
    live = Sender(inbox, "live")
    live.put(b"7", 1)
    assert [arrival.message.received_us for arrival in inbox.take()].count(1) == 1


def test_who_sends_a_little_all_the_time_does_not_shut_out_a_pack() -> None:
    inbox = Inbox(Limits(batch_bytes=600))
    small, large = [Sender(inbox, f"small-{number}") for number in range(9)], Sender(inbox, "large")
    large.put(bytes(500), 1)
    for _ in range(2):
        for sender in small:
            sender.put(bytes(30))
            sender.put(bytes(400))
        if 1 in [arrival.message.received_us for arrival in inbox.take()]:
            return
    raise AssertionError("it still waits")


def test_a_dear_batch_makes_the_next_one_small_and_cheap_ones_make_it_grow_again() -> None:
    inbox = Inbox(Limits(batch_messages=1_000))
    sender = Sender(inbox, "A")
    for _ in range(25_000):
        sender.put(b"")
    sizes = []
    for spent_s in (2 * BATCH_S, *[0.0] * 20):
        inbox.learn(spent_s)
        sizes.append(len(inbox.take()))
    assert sizes[0] == 500
    assert sizes == sorted(sizes)
    assert sizes[4] == 1_000


def test_small_batches_go_round_among_many_lines() -> None:
    inbox = Inbox(Limits(batch_messages=2))
    senders = [Sender(inbox, station) for station in "ABCDE"]
    for _ in range(3):
        for sender in senders:
            sender.put(b"")
    served = [arrival.sender.station for _ in range(5) for arrival in inbox.take()]
    assert sorted(served) == list("AABBCCDDEE")


def test_those_who_fill_the_inbox_do_not_shut_out_those_who_wait() -> None:
    inbox = Inbox(Limits(inbox_bytes=10 * 512, unacked_messages=5, batch_messages=5))
    greedy = [Sender(inbox, f"greedy-{number}") for number in range(4)]
    quiet = Sender(inbox, "quiet")
    for sender in (*greedy, quiet):
        sender.go_on()
    assert (quiet.turns, inbox.is_full) == ([0], True)
    for _ in range(6):
        inbox.release(inbox.take())
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
    batch = inbox.take()
    assert not inbox.has_room_for_refusal("A")
    inbox.release(batch)
    assert inbox.has_room_for_refusal("A")
    assert inbox._refusals == {}
