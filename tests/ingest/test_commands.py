"""What becomes of a command: queued, sent, taken, answered or expired; and never more of them than there is room."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.commands import ANSWER_BYTES_MAX, KEPT_MAX, OPEN_MAX, Commands, Fate, Full, Stage
from ingest.message import Reason
from ingest.topics import Topics
from tests.builders import thorough

TOPICS = Topics("takean/v1")
CMD = TOPICS.cmd("WL-01")
SECOND_US = 1_000_000
EXPIRES_US = 60 * SECOND_US


@dataclass(eq=False)
class Gauge:
    """A connection that hears commands."""

    told: list[tuple[str, bytes, str]] = field(default_factory=list)
    is_busy: bool = False

    def tell(self, topic: str, payload: bytes, command: str) -> bool:
        if not self.is_busy:
            self.told.append((topic, payload, command))
        return not self.is_busy

    @property
    def ids(self) -> list[str]:
        return [command for _, _, command in self.told]


@dataclass
class Desk:
    """Commands, a clock that is set by hand, and a broker that is there or not."""

    now_us: int = 0
    is_broker: bool = False
    published: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commands = Commands(TOPICS, lambda: self.now_us, self._elsewhere)

    def _elsewhere(self, topic: str, payload: bytes) -> bool:
        if self.is_broker:
            self.published.append(topic)
        return self.is_broker

    def order(self, id: str, station: str = "WL-01", expires_us: int = EXPIRES_US) -> None:
        self.commands.order(station, {"do": "report"}, id=id, expires_us=expires_us)

    def stage(self, id: str = "a") -> Stage:
        fate = self.commands.fate("WL-01", id)
        assert fate is not None
        return fate.stage


def test_a_command_says_who_it_is_and_when_it_ends() -> None:
    desk, gauge = Desk(), Gauge()
    desk.commands.listen(gauge, CMD)
    desk.commands.order("WL-01", {"do": "set", "every_s": 60}, id="c1", expires_us=1_795_330_260_000_999)
    ((topic, payload, command),) = gauge.told
    assert (topic, command) == (CMD, "c1")
    assert msgspec.json.decode(payload) == {"id": "c1", "expires": 1_795_330_260_000, "do": "set", "every_s": 60}


def test_a_command_waits_for_who_listens_and_is_sent_once() -> None:
    desk, gauge = Desk(), Gauge()
    desk.order("a")
    desk.order("b")
    assert desk.stage() is Stage.QUEUED
    desk.commands.listen(gauge, CMD)
    desk.commands.listen(gauge, CMD)
    desk.commands.retry()
    assert gauge.ids == ["a", "b"]
    assert desk.stage() is Stage.SENT


def test_a_command_is_heard_by_its_station_only() -> None:
    desk, other = Desk(), Gauge()
    desk.commands.listen(other, TOPICS.cmd("WL-02"))
    desk.order("a")
    assert other.told == []
    assert desk.stage() is Stage.QUEUED


def test_of_two_connections_the_newest_is_told() -> None:
    desk, older, newer = Desk(), Gauge(), Gauge()
    desk.commands.listen(older, CMD)
    desk.commands.listen(newer, CMD)
    desk.order("a")
    assert (older.ids, newer.ids) == ([], ["a"])


def test_what_a_connection_did_not_take_is_sent_to_the_next() -> None:
    desk, first, second = Desk(), Gauge(), Gauge()
    desk.commands.listen(first, CMD)
    desk.order("a")
    desk.order("b")
    desk.commands.taken(CMD, "a")
    desk.commands.leave(first, [CMD])
    assert (desk.stage("a"), desk.stage("b")) == (Stage.TAKEN, Stage.QUEUED)
    desk.commands.listen(second, CMD)
    assert second.ids == ["b"]


def test_an_answer_ends_a_command_and_is_kept_as_it_was_said() -> None:
    desk, gauge = Desk(), Gauge()
    desk.commands.listen(gauge, CMD)
    desk.order("a")
    said = b'{"id": "a", "ok": true, "stage_m": 2.31}'
    assert desk.commands.answered("WL-01", said) is None
    desk.now_us = EXPIRES_US + 1
    assert desk.commands.fate("WL-01", "a") == Fate(stage=Stage.ANSWERED, reached=Stage.ANSWERED, answer=said)
    assert desk.commands.answered("WL-01", b'{"id": "a", "ok": false}') is None
    assert desk.commands.fate("WL-01", "a") == Fate(stage=Stage.ANSWERED, reached=Stage.ANSWERED, answer=said)


def test_nobody_answers_for_another_station() -> None:
    desk = Desk()
    desk.order("a")
    assert desk.commands.answered("WL-02", b'{"id": "a"}') is None
    assert desk.stage() is Stage.QUEUED


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"\xff", Reason.NOT_JSON),
        (b'{"id": "c\x80"}', Reason.NOT_JSON),
        (b'{"id": "a", "x": "\xff"}', Reason.NOT_JSON),
        (b'{"id": "a"', Reason.NOT_JSON),
        (b"[" * 4_000, Reason.WRONG_SHAPE),
        (b"[]", Reason.WRONG_SHAPE),
        (b"{}", Reason.WRONG_SHAPE),
        (b'{"id": 7}', Reason.WRONG_SHAPE),
        (b'{"id": "a", "x": "' + b"x" * ANSWER_BYTES_MAX + b'"}', Reason.WRONG_SHAPE),
    ],
)
def test_what_is_no_answer_is_refused_with_a_reason(said: bytes, reason: Reason) -> None:
    desk = Desk()
    desk.order("a")
    rejection = desk.commands.answered("WL-01", said)
    assert rejection is not None
    assert rejection.reason == reason
    assert desk.stage() is Stage.QUEUED


def test_after_its_end_a_command_is_not_sent_and_it_is_known_how_far_it_got() -> None:
    desk, gauge = Desk(), Gauge()
    desk.order("queued", expires_us=10)
    desk.commands.listen(gauge, CMD)
    desk.order("taken", expires_us=10)
    desk.commands.taken(CMD, "taken")
    desk.commands.leave(gauge, [CMD])
    desk.order("late", expires_us=10)
    desk.now_us = 10
    desk.commands.listen(gauge, CMD)
    assert gauge.ids == ["queued", "taken"]
    assert desk.commands.fate("WL-01", "taken") == Fate(stage=Stage.EXPIRED, reached=Stage.TAKEN)
    assert desk.commands.fate("WL-01", "late") == Fate(stage=Stage.EXPIRED, reached=Stage.QUEUED)
    assert desk.commands.fate("WL-01", "nobody's") is None


def test_who_does_not_listen_here_is_told_by_the_broker() -> None:
    desk, gauge = Desk(is_broker=True), Gauge()
    desk.order("a")
    desk.commands.listen(gauge, TOPICS.cmd("WL-02"))
    desk.order("b", "WL-02")
    assert desk.published == [CMD]
    assert (gauge.ids, desk.stage()) == (["b"], Stage.SENT)


def test_what_could_not_be_sent_is_tried_again() -> None:
    desk, gauge = Desk(), Gauge(is_busy=True)
    desk.commands.listen(gauge, CMD)
    desk.order("a")
    assert desk.stage() is Stage.QUEUED
    gauge.is_busy = False
    desk.commands.retry()
    assert (gauge.ids, desk.stage()) == (["a"], Stage.SENT)
    away = Desk()
    away.order("a")
    away.is_broker = True
    away.commands.retry()
    assert away.published == [CMD]


def test_a_station_has_so_many_open_commands_and_no_more() -> None:
    desk = Desk()
    for number in range(OPEN_MAX):
        desk.order(f"{number}")
    desk.order("another's", "WL-02")
    with pytest.raises(Full):
        desk.order("one more")
    desk.commands.answered("WL-01", b'{"id": "3"}')
    desk.order("one more")


def test_those_that_are_over_are_kept_to_be_asked_for_but_not_for_ever() -> None:
    desk = Desk()
    for number in range(3 * KEPT_MAX):
        desk.order(f"{number}")
        desk.commands.answered("WL-01", b'{"id": "%d"}' % number)
    known = [number for number in range(3 * KEPT_MAX) if desk.commands.fate("WL-01", f"{number}")]
    assert known == list(range(2 * KEPT_MAX, 3 * KEPT_MAX))


@pytest.mark.parametrize("order", [{"id": "mine"}, {"expires": 1}, {"do": "x" * 2_000}])
def test_an_order_that_cannot_be_a_command_is_not_taken(order: dict[str, object]) -> None:
    desk = Desk()
    with pytest.raises(ValueError, match=r"gets its own|at most"):
        desk.commands.order("WL-01", order, id="a", expires_us=1)
    assert desk.commands.fate("WL-01", "a") is None


def test_what_is_said_to_a_node_needs_no_acknowledgement() -> None:
    desk, node = Desk(), Gauge()
    topic = "spBv1.0/river/NCMD/n1"
    assert not desk.commands.say(topic, b"rebirth")
    desk.commands.listen(node, topic)
    assert desk.commands.say(topic, b"rebirth")
    assert node.told == [(topic, b"rebirth", "")]
    desk.commands.leave(node, [topic])
    desk.is_broker = True
    assert desk.commands.say(topic, b"rebirth")
    assert desk.published == [topic]


STEPS = st.one_of(
    st.tuples(st.just("order"), st.integers(0, 9)),
    st.tuples(st.just("listen"), st.integers(0, 2)),
    st.tuples(st.just("leave"), st.integers(0, 2)),
    st.tuples(st.just("take"), st.integers(0, 9)),
    st.tuples(st.just("answer"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.integers(0, 40)),
)


@thorough(200)
@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_a_command_that_was_taken_or_is_over_is_not_sent_again(steps: list[tuple[str, int]]) -> None:
    desk, gauges = Desk(), [Gauge() for _ in range(3)]
    ordered, done = 0, set[str]()
    for what, number in steps:
        before = [len(gauge.told) for gauge in gauges]
        match what:
            case "order" if ordered < OPEN_MAX:
                desk.order(f"{ordered}", expires_us=desk.now_us + 50 * SECOND_US)
                ordered += 1
            case "listen":
                desk.commands.listen(gauges[number], CMD)
            case "leave":
                desk.commands.leave(gauges[number], [CMD])
            case "take" if any(f"{number}" in gauge.ids for gauge in gauges):
                desk.commands.taken(CMD, f"{number}")
                done.add(f"{number}")
            case "answer":
                desk.commands.answered("WL-01", b'{"id": "%d"}' % number)
                done |= {f"{number}"} if number < ordered else set()
            case "wait":
                desk.now_us += number * SECOND_US
                desk.commands.retry()
        over = {id for id in map(str, range(ordered)) if desk.stage(id) is Stage.EXPIRED}
        new = [id for gauge, count in zip(gauges, before, strict=True) for id in gauge.ids[count:]]
        assert not set(new) & (done | over)
        assert len(new) == len(set(new))
