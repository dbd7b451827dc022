"""Instruments at the end of a serial line, written from their makers' data sheets.

    instrument      what every instrument is: (state, bytes, truth, now) -> (state, bytes), pure
    plantower       dust, PMS5003 and PMS7003
    shdlc, sps30    dust, Sensirion SPS30
    ultrasonic      distance, four bytes ten times a second
    registers       numbers as Modbus registers
    modbus          level and rain gauges, Modbus RTU
    faults          what goes wrong on the way, by seed
    line (S)        any of them on a pseudo-terminal or a real port

    with on_pty(Plantower(), lambda now_s: {"pm2_5_ug_m3": 12.0}) as line:
        read(line.path)

A box with two dust sensors has two lines: `Plantower(id="a")` and `Plantower(id="b")` read `pm2_5_ug_m3@a` and `@b`.
Whoever adds another device (a modem) writes another `Instrument`; the line carries it as it is.
"""

from firmware_sim.serial.faults import Faults
from firmware_sim.serial.instrument import Instrument, Port, Truth
from firmware_sim.serial.line import Line, on_port, on_pty
from firmware_sim.serial.modbus import Modbus, level_gauge, rain_gauge
from firmware_sim.serial.plantower import Plantower
from firmware_sim.serial.registers import Kind, Order, Register
from firmware_sim.serial.sps30 import Sps30
from firmware_sim.serial.ultrasonic import Ultrasonic

__all__ = [
    "Faults",
    "Instrument",
    "Kind",
    "Line",
    "Modbus",
    "Order",
    "Plantower",
    "Port",
    "Register",
    "Sps30",
    "Truth",
    "Ultrasonic",
    "level_gauge",
    "on_port",
    "on_pty",
    "rain_gauge",
]
