"""The vocabulary of what is measured, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One kind of measurement; its name carries the canonical unit."""

    name: str
    unit: str
    """Canonical unit in the spelling of RFC 8428 where it has one."""
    thai: str
    english: str
    decimals: int
    """Digits after the point that a person is shown."""
    fail: tuple[float, float]
    """Gross range (QARTOD test 4): outside it no instrument of this kind can be right."""


# Gross ranges: stage, any gauge of a lowland river; rain, above the world record for one hour (WMO: 305 mm in 42
# min) no tipping bucket can count; PM2.5, ten times the saturation of Plantower sensors (1,000 ug/m3 effective
# range, data sheet); temperature, WMO records; battery, lithium or lead packs of field loggers.
QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity(name="stage_m", unit="m", thai="ระดับน้ำ", english="stage", decimals=2, fail=(-5.0, 40.0)),
        Quantity(name="rain_mm", unit="mm", thai="ฝน", english="rain", decimals=1, fail=(0.0, 305.0)),
        Quantity(
            name="pm2_5_ug_m3",
            unit="ug/m3",
            thai="ฝุ่น PM2.5",
            english="PM2.5",
            decimals=1,
            fail=(0.0, 10_000.0),
        ),
        Quantity(
            name="temperature_c",
            unit="Cel",
            thai="อุณหภูมิ",
            english="temperature",
            decimals=1,
            fail=(-90.0, 60.0),
        ),
        Quantity(
            name="humidity_pct",
            unit="%RH",
            thai="ความชื้น",
            english="humidity",
            decimals=0,
            fail=(0.0, 100.0),
        ),
        Quantity(name="battery_v", unit="V", thai="แบตเตอรี่", english="battery", decimals=2, fail=(0.0, 60.0)),
    )
}
