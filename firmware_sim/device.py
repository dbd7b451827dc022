"""A station's device as a pure state machine: it samples, stamps with its own clock, numbers and writes payloads.

    (device, truth, state, now) -> (state, messages)

Payloads follow docs/wire.md and nothing else.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_sim import noise
from firmware_sim.instruments import Instrument, usual
from firmware_sim.sites import Site, quantity_of
from firmware_sim.truth import SECOND_US, Course, Truth, beneath

Int64 = NDArray[np.int64]

BLOCK = 4_096
"""Samples made at a time: bounds memory, not results."""

UNITS = {
    "stage_m": "m",
    "rain_mm": "mm",
    "pm2_5_ug_m3": "ug/m3",
    "temperature_c": "Cel",
    "humidity_pct": "%RH",
    "battery_v": "V",
}
"""Unit of each quantity in docs/wire.md, for SenML."""


class Wire(StrEnum):
    """The two forms of docs/wire.md."""

    FLAT = "flat JSON"
    SENML = "SenML JSON"


class Message(NamedTuple):
    """One message of a device."""

    time_us: int
    """True time of the sample, which the device itself does not know."""
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A device's own clock: wrong from the moment it was set, and drifting since."""

    set_us: int
    """True time at which it was set."""
    offset_us: int = 0
    """How far ahead it was set."""
    drift_ppm: float = 0.0
    """How much too fast it runs, in millionths."""

    def shown(self, time_us: Int64) -> Int64:
        """What it shows at true times."""
        run_us = time_us - self.set_us
        return time_us + self.offset_us + np.round(run_us * (self.drift_ppm / 1e6)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What was built and installed at a station; does not change while it runs."""

    station: str
    instruments: tuple[Instrument, ...]
    cadence_us: int
    first_us: int
    """True time of sample 0; sample k follows k cadences later."""
    clock: Clock
    seed: int
    wire: Wire = Wire.FLAT
    firmware: str = "1.4.2"
    boot: int = 1
    """How often it has started; one run is one boot."""
    buffer_max: int = 20_000
    """Unacknowledged messages it can keep; the oldest waiting one is lost beyond that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a device remembers between samples."""

    next_sample: int
    seq: int
    """Number of the next message of this boot."""
    counts: tuple[int, ...]
    """What each instrument's counter stood at after the last sample."""


def install(
    sites: Sequence[Site],
    *,
    set_us: int,
    seed: int,
    instrument: Callable[[str], Instrument] = usual,
    clocks_true: bool = False,
) -> tuple[Device, ...]:
    """A device for every site, with the small dishonesties of real ones drawn from the seed.

    Samples fall at a phase of their own within the cadence, clocks are up to one second wrong and drift by up to 20 ppm
    (an ordinary quartz), boot counters stand somewhere. Every third device speaks SenML.

    Parameters
    ----------
    set_us : when they were installed and their clocks set; nothing is sampled before, microseconds UTC
    seed : errors of clocks and instruments come from (seed, station)
    instrument : what stands behind a reading name; `instruments.exact` for recordings
    clocks_true : no error of the clock, and samples exactly at `set_us` plus whole cadences, as recordings want it
    """

    def one(nth: int, site: Site) -> Device:
        own = np.random.default_rng(noise.key(seed, site.station, "device"))
        cadence_us = round(site.cadence_s * SECOND_US)
        phase_us, offset_us = int(own.integers(cadence_us)), int(own.integers(-SECOND_US, SECOND_US))
        drift_ppm, boot = float(own.uniform(-20.0, 20.0)), int(own.integers(1, 100))
        return Device(
            station=site.station,
            instruments=tuple(instrument(name) for name in site.readings),
            cadence_us=cadence_us,
            first_us=set_us if clocks_true else set_us + phase_us,
            clock=Clock(set_us=set_us)
            if clocks_true
            else Clock(set_us=set_us, offset_us=offset_us, drift_ppm=drift_ppm),
            seed=seed,
            wire=Wire.SENML if nth % 3 == 2 else Wire.FLAT,
            boot=boot,
        )

    return tuple(one(nth, site) for nth, site in enumerate(sites))


def powered(device: Device, truth: Truth, *, from_us: int) -> State:
    """State of a device that is switched on at a true time; its rain counters stand where the last sample left them."""
    next_sample = max(0, -((device.first_us - from_us) // device.cadence_us))
    before_us = device.first_us + (next_sample - 1) * device.cadence_us
    counts = tuple(
        instrument.count(_column(device, truth, instrument).last_known(before_us)) for instrument in device.instruments
    )
    return State(next_sample=next_sample, seq=0, counts=counts)


def due_us(device: Device, state: State) -> int:
    """True time of the next sample."""
    return device.first_us + state.next_sample * device.cadence_us


def sample(
    device: Device, truth: Truth, state: State, *, now_us: int, topic_prefix: str
) -> tuple[State, list[Message]]:
    """Take all samples that are due by now, at most `BLOCK` of them.

    A reading of which the truth knows nothing is left out; a sample without any reading makes no message and takes no
    number.

    Returns
    -------
    state : call again while `due_us` is not after now
    messages : in the order of their samples
    """
    due = (now_us - device.first_us) // device.cadence_us + 1 - state.next_sample
    if due <= 0:
        return state, []
    index = np.arange(state.next_sample, state.next_sample + min(due, BLOCK), dtype=np.int64)
    time_us = device.first_us + index * device.cadence_us
    columns: list[list[float | int | None]] = []
    counts: list[int] = []
    for instrument, count in zip(device.instruments, state.counts, strict=True):
        true = _column(device, truth, instrument).at(time_us)
        source = noise.key(device.seed, device.station, instrument.name)
        values, count_now = instrument.read(true, index=index, source=source, count=count)
        columns.append(_as_numbers(values.tolist(), instrument.decimals))
        counts.append(count_now)

    names = [instrument.name for instrument in device.instruments]
    topic = f"{topic_prefix}/{device.station}/data"
    shown_ms = (device.clock.shown(time_us) // 1_000).tolist()
    messages: list[Message] = []
    seq = state.seq
    for true_us, ts_ms, row in zip(time_us.tolist(), shown_ms, zip(*columns, strict=True), strict=True):
        readings = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        if readings:
            messages.append(Message(true_us, topic, _encode(device, ts_ms, seq, readings)))
            seq += 1
    return replace(state, next_sample=state.next_sample + len(index), seq=seq, counts=tuple(counts)), messages


def payloads(
    device: Device, truth: Truth, from_us: int, to_us: int, *, topic_prefix: str = "takean/v1"
) -> Iterator[Message]:
    """Everything a device switched on at `from_us` sends about samples in [from_us, to_us), as fast as possible.

    The same bytes as when it is driven live.
    """
    state = powered(device, truth, from_us=from_us)
    last_us = min(to_us - 1, truth.end_us)
    while due_us(device, state) <= last_us:
        state, messages = sample(device, truth, state, now_us=last_us, topic_prefix=topic_prefix)
        yield from messages


def flat_json(ts_ms: int, seq: int, readings: dict[str, float | int]) -> bytes:
    """The flat form: device time in ms, the device's counter, values in canonical units."""
    return json.dumps({"ts": ts_ms, "seq": seq, "values": readings}, allow_nan=False).encode()


def senml_json(station: str, ts_ms: int, readings: dict[str, float | int]) -> bytes:
    """The SenML form (RFC 8428): base name and time in the first record, a unit in every one."""
    base = {"bn": f"{station}/", "bt": ts_ms // 1_000 if ts_ms % 1_000 == 0 else ts_ms / 1_000}
    records = [{"n": name, "u": UNITS[quantity_of(name)], "v": value} for name, value in readings.items()]
    return json.dumps([{**base, **records[0]}, *records[1:]], allow_nan=False).encode()


def birth(device: Device) -> bytes:
    """What a device says of itself whenever it connects."""
    return json.dumps({"state": "online", "fw": device.firmware, "boot": device.boot}).encode()


LAST_WILL = json.dumps({"state": "offline"}).encode()


def _encode(device: Device, ts_ms: int, seq: int, readings: dict[str, float | int]) -> bytes:
    match device.wire:
        case Wire.FLAT:
            return flat_json(ts_ms, seq, readings)
        case Wire.SENML:
            return senml_json(device.station, ts_ms, readings)


def _column(device: Device, truth: Truth, instrument: Instrument) -> Course:
    return truth.course(device.station, beneath(quantity_of(instrument.name)))


def _as_numbers(values: list[float], decimals: int) -> list[float | int | None]:
    """JSON numbers as the instrument shows them: whole ones without a point, nothing for NaN."""
    if decimals == 0:
        return [None if math.isnan(value) else int(value) for value in values]
    return [None if math.isnan(value) else value for value in values]
