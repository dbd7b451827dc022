"""The device's memory: nothing is lost within the bound, and what is lost beyond it is counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.backlog import Backlog
from firmware_sim.device import Message

IN_FLIGHT_MAX = 3


def message(number: int) -> Message:
    return Message(number, "t", str(number).encode())


@given(
    bound=st.integers(IN_FLIGHT_MAX + 1, 12),
    acts=st.lists(st.sampled_from(["keep", "take", "acknowledge"]), max_size=120),
)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_every_message_is_delivered_kept_or_counted_as_dropped(bound: int, acts: list[str]) -> None:
    backlog, made, sent, delivered = Backlog(bound), 0, list[tuple[int, Message]](), list[Message]()
    for act in acts:
        if act == "keep":
            backlog.keep([message(made)])
            made += 1
        elif act == "take":
            sent += backlog.take(IN_FLIGHT_MAX)
        elif sent:
            serial, gone = sent.pop(0)
            backlog.acknowledge(serial)
            delivered.append(gone)
        assert len(backlog) <= bound
        assert backlog.in_flight <= IN_FLIGHT_MAX
    while taken := backlog.take(IN_FLIGHT_MAX) or sent:
        sent += [pair for pair in taken if pair not in sent]
        for serial, gone in sent:
            backlog.acknowledge(serial)
            delivered.append(gone)
        sent = []
    assert len(delivered) + backlog.dropped == made
    assert delivered == sorted(set(delivered)), "oldest first, each once"


def test_beyond_the_bound_the_newest_are_kept() -> None:
    backlog = Backlog(5)
    backlog.keep(message(n) for n in range(2))
    in_flight = backlog.take(1)
    backlog.keep(message(n) for n in range(2, 20))
    assert [m.time_us for _, m in in_flight] == [0]
    assert [m.time_us for _, m in backlog.take(99)] == [16, 17, 18, 19]
    assert backlog.dropped == 15


def test_what_is_not_in_flight_cannot_be_acknowledged() -> None:
    backlog = Backlog(5)
    backlog.keep([message(0)])
    with pytest.raises(KeyError):
        backlog.acknowledge(0)
