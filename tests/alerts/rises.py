"""A rise rule for tests."""

from datetime import date

from alerts.rules import RiseRule


def rise_rule(level: int, enter: float, **changes: object) -> RiseRule:
    """A flood rule in metres per hour, over ten minutes."""
    values: dict[str, object] = {
        "id": f"flood.rise.{level}",
        "version": "1",
        "hazard": "flood",
        "level": level,
        "quantity": "stage_m",
        "unit": "m/h",
        "enter": enter,
        "leave": enter / 2,
        "over_s": 600.0,
        "gate": 0.0,
        "up_for_s": 0.0,
        "down_for_s": 300.0,
        "source": "test",
        "author": "test",
        "date": date(2026, 11, 22),
    }
    return RiseRule(**{**values, **changes})  # type: ignore[arg-type]
