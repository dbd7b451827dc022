"""Every page in every state somebody may find it in."""

from collections.abc import Iterator
from dataclasses import dataclass

CONSOLE, STATION, WALL = "/console", "/console/stations/WL-02", "/wall"


@dataclass(frozen=True, slots=True)
class State:
    """One page, one moment, one screen."""

    path: str
    scene: str
    width: int
    signed_in: bool = False
    script: bool = True
    """Without, our scripts never arrive: axe itself needs a browser that runs some."""
    lost: bool = False
    """The server has gone while the page was open."""

    @property
    def height(self) -> int:
        """Of a usual screen so wide."""
        return {1920: 1080, 1366: 768, 390: 844}[self.width]

    def __str__(self) -> str:
        extra = f"{'' if self.script else '-no-script'}{'-lost' if self.lost else ''}"
        return f"{self.path}-{self.scene}-{self.width}{extra}"


def _states() -> Iterator[State]:
    for scene in ("calm", "critical", "unknown", "drill"):
        yield State("/", scene, 390)
        yield State(CONSOLE, scene, 1920, signed_in=True)
    for scene in ("calm", "critical", "unknown"):
        yield State(WALL, scene, 1920, signed_in=True)
    for scene in ("critical", "unknown"):
        yield State(STATION, scene, 1920, signed_in=True)
        yield State("/stations/WL-02", scene, 390)
    for width in (1366, 390):
        yield State(CONSOLE, "critical", width, signed_in=True)
        yield State(STATION, "critical", width, signed_in=True)
    yield State("/", "critical", 390, script=False)
    yield State("/stations/WL-02", "critical", 390, script=False)
    yield State("/?lang=en&text=large", "critical", 390)
    yield State("/?v=33160805", "critical", 390)
    yield State("/console/stations", "critical", 1366, signed_in=True)
    yield State("/console/stations", "critical", 390, signed_in=True)
    yield State("/preview", "drill", 1366)
    yield State("/preview", "drill", 390)
    yield State("/signin", "critical", 390)
    yield State("/nothing-here", "critical", 390)
    yield State("/", "critical", 390, lost=True)
    yield State(CONSOLE, "critical", 1920, signed_in=True, lost=True)
    yield State(STATION, "critical", 1920, signed_in=True, lost=True)
    yield State(WALL, "critical", 1920, signed_in=True, lost=True)


STATES = tuple(_states())
LOST_BANNER = '[data-region="lost-banner"]'
