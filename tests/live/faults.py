"""What can go wrong beneath devices that send: each is dealt, seen to be told of, and put right again."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.live.crash import AHEAD, LOOK_S, kill_worker, until
from tests.live.disk import Disk
from tests.live.installation import Clocked
from tests.live.mosquitto import Mosquitto
from tests.sensors.mirrored import destination_of
from tests.sensors.servers import InfluxDB, Server, VictoriaMetrics

YEAR_S = 365 * 86_400
PASSING = 100
"""Messages that must go on while something is away that nobody is warned by."""
AFTER_MARK_S = 0.06
"""A blow falls up to this long behind its mark: the gather time of a batch and its commits."""
ENOUGH = 2**62
log = logging.getLogger(__name__)


@dataclass
class Scene:
    """A box, what stands around it, and how far its devices are."""

    box: Clocked
    disks: Mapping[str, Disk]
    influx: InfluxDB
    victoria: VictoriaMetrics
    mosquitto: Mosquitto | None
    """None where devices come straight to the box."""
    safe: Callable[[], int]
    """Count of messages that the worker says are safe."""
    ahead: int = AHEAD
    """So many may be under way, or forgotten by a broker."""
    allowed: int = AHEAD
    """So many the devices may have sent."""
    is_forgetful: bool = False
    """Whether a broker was killed before it saved."""
    dealt: str = ""
    """The fault that is being dealt, for who waits in vain."""

    def may_send(self) -> int:
        """So many the devices may have sent now, with no more under way than a broker may forget."""
        return min(self.allowed, self.safe() + self.ahead)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Poll until it is so."""
        try:
            until(condition, what, every_s=LOOK_S)
        except AssertionError as error:
            state = f"{self.safe()} safe, {self.allowed} allowed, {self.box.readiness()}"
            raise AssertionError(f"{self.dealt}: {error}; {state}") from None

    def pass_on(self, messages: int = PASSING) -> None:
        """Wait until so many more are safe."""
        wanted = self.safe() + messages
        self.allowed = max(self.allowed, wanted + self.ahead)
        self.wait(lambda: self.safe() >= wanted, "messages to go on")

    def told(self, text: str) -> None:
        """Wait until `/readyz` gives this as a reason why the box cannot warn."""
        self.wait(lambda: any(text in reason for reason in self.box.readiness()[0]), f"the reason {text!r}")

    def noted(self, text: str) -> None:
        """Wait until `/readyz` notes this; the box must go on warning."""
        self.wait(lambda: any(text in note for note in self.box.readiness()[1]), f"the note {text!r}")
        reasons, _ = self.box.readiness()
        assert reasons == [], f"{self.dealt}: {reasons}"

    def ready(self) -> None:
        """Wait until the box says that it is able to warn."""
        self.wait(self.box.is_ready, "readiness")

    def backlog(self, server: Server) -> float:
        """Rows that wait for a mirror, by `/metrics`."""
        return self.box.metric(f'takean_mirror_backlog_rows{{mirror="{destination_of(server).name}"}}')

    def ask(self, what: str) -> Any:
        """Of its pages."""
        return self.box.get(f"api/v1/{what}").raise_for_status().json()


Fault = Callable[[Scene], None]


def the_worker_dies(scene: Scene) -> None:
    """kill -9."""
    kill_worker(scene.box)


def influx_is_away(scene: Scene) -> None:
    """For a while."""
    with away(scene, scene.influx):
        scene.pass_on()


def victoria_dies(scene: Scene) -> None:
    """It forgets the last seconds of what it has taken, and is back at once."""
    scene.victoria.kill()
    scene.victoria.start()


def a_mirror_dies_at_both_ends(scene: Scene) -> None:
    """Its server is away for a while, and our process that sends to it is killed meanwhile."""
    with away(scene, scene.victoria):
        killed = scene.box.kill_part("mirror")
        scene.pass_on()
        scene.wait(lambda: scene.box.pids().get("mirror", killed) != killed, "another mirror")
        assert scene.box.is_ready(), "nobody is warned by a mirror"


@contextmanager
def away(scene: Scene, server: Server) -> Iterator[None]:
    """A server is down; the box says so, counts what waits, and goes on warning."""
    server.kill()
    try:
        scene.pass_on()
        scene.noted(f"mirror {destination_of(server).name}")
        scene.wait(lambda: scene.backlog(server) > 0, "a backlog")
        yield
    finally:
        server.start()


def the_disk_is_full(scene: Scene) -> None:
    """The box says so and acknowledges nothing more, until there is room."""
    for name, disk in scene.disks.items():
        scene.dealt = f"disk full: {name}"
        disk.fill()
        scene.allowed = max(scene.allowed, scene.safe() + 4 * AHEAD)  # there is something to be stored
        try:
            scene.wait(lambda: not scene.box.is_ready(), "/readyz to tell")
        finally:
            disk.free()
        scene.ready()
        scene.pass_on()


def the_wall_clock_leaps(scene: Scene) -> None:
    """Five years ahead, where the worker dies, then to 1970, then it is right again."""
    scene.box.set_wall(5 * YEAR_S)
    scene.wait(lambda: "box_clock" in [n["code"] for n in scene.ask("notices")], "the notice of a wrong clock")
    kill_worker(scene.box)
    scene.pass_on()
    scene.box.set_wall(-int(time.time()))
    scene.pass_on()
    scene.box.set_wall(0)


def the_broker_restarts(scene: Scene) -> None:
    """SIGTERM, as after an update."""
    _broker_is_away(scene, signal.SIGTERM)


def the_broker_dies(scene: Scene) -> None:
    """kill -9: it forgets what it had not saved."""
    scene.is_forgetful = True
    _broker_is_away(scene, signal.SIGKILL)
    scene.ahead += AHEAD


def _broker_is_away(scene: Scene, how: signal.Signals) -> None:
    assert scene.mosquitto is not None
    scene.mosquitto.stop(how)
    try:
        scene.told("the broker")
    finally:
        scene.mosquitto.start()
    scene.ready()


def the_power_fails(scene: Scene) -> None:
    """Every process dies at once. Afterwards the wall clock is the machine's own."""
    scene.box.pull_the_plug()
    assert not scene.box.is_ready()
    scene.box.is_faked = False
    scene.box.start()


ANYWHERE: Sequence[Fault] = (
    the_worker_dies,
    influx_is_away,
    victoria_dies,
    a_mirror_dies_at_both_ends,
    the_disk_is_full,
    the_wall_clock_leaps,
)
OF_THE_BROKER: Sequence[Fault] = (the_broker_restarts, the_broker_dies)


def deal(scene: Scene, faults: Sequence[Fault], *, messages: int, rng: np.random.Generator) -> None:
    """Each fault at a random moment of `messages` that flow, in this order; all of them may be sent afterwards."""
    marks = np.sort(rng.integers(messages // 20, messages * 17 // 20, len(faults))).tolist()
    rests_s = rng.uniform(0.0, AFTER_MARK_S, len(faults)).tolist()
    for fault, mark, rest_s in zip(faults, marks, rests_s, strict=True):
        scene.dealt = f"before {fault.__name__}"
        scene.pass_on(max(PASSING, mark - scene.safe()))
        time.sleep(rest_s)
        scene.dealt = fault.__name__
        began_s = time.monotonic()
        fault(scene)
        log.info("%s: put right after %.1f s, %d safe", scene.dealt, time.monotonic() - began_s, scene.safe())
    scene.allowed = ENOUGH
