"""Where a station stands and what it measures."""

from dataclasses import dataclass

QUANTITIES = ("stage_m", "rain_mm", "pm2_5_ug_m3", "temperature_c", "humidity_pct", "battery_v")
"""The quantities of docs/wire.md."""


def quantity_of(name: str) -> str:
    """Quantity of a reading name: `stage_m@b` -> `stage_m`."""
    return name.partition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One station of the simulated world.

    Raises
    ------
    ValueError : a reading the simulator cannot make, or a stage without its stream
    """

    station: str
    """1-32 characters of `A-Z a-z 0-9 _ -`, as in docs/wire.md."""
    lat: float
    lon: float
    readings: tuple[str, ...]
    """Reading names of docs/wire.md: `stage_m`, or `stage_m@b` for a second instrument."""
    cadence_s: float
    stream: str = ""
    """Stage only: stations with the same name lie on the same water."""
    river_km: float = 0.0
    """Stage only: distance from the source of the stream, along it."""
    bankfull_m: float = 0.0
    """Stage only: stage at which the water leaves its bed, over the gauge zero."""
    capacity: float = 1.0
    """Stage only: discharge at bank-full, relative to what a bed of this catchment usually carries. A bridge or a
    silted reach carries less."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.readings if quantity_of(name) not in QUANTITIES]
        if unknown or not self.readings:
            raise ValueError(f"site {self.station}: readings {list(self.readings)} must be of {', '.join(QUANTITIES)}")
        if len(set(self.readings)) < len(self.readings):
            raise ValueError(
                f"site {self.station}: readings {list(self.readings)} repeat a name; use stage_m and stage_m@b"
            )
        if not self.cadence_s > 0:
            raise ValueError(f"site {self.station}: cadence_s is {self.cadence_s} but must be above 0")
        if self.measures("stage_m") and not (
            self.stream and self.river_km > 0 and self.bankfull_m > 0 and self.capacity > 0
        ):
            raise ValueError(
                f"site {self.station}: stage_m needs a stream and river_km, bankfull_m, capacity above 0, not "
                f"{self.stream!r}, {self.river_km} km, {self.bankfull_m} m, {self.capacity}"
            )

    def measures(self, quantity: str) -> bool:
        """Whether any of its readings is of this quantity."""
        return any(quantity_of(name) == quantity for name in self.readings)
