"""Line protocol: readings as the text that InfluxDB and VictoriaMetrics take. Pure.

    reading,kind=actual,sensor=stage_m,station=WL-01 value=2.31,flag=1 1795330200000000000

`value` and `flag` are floats: a field that was once written as a whole number would refuse every fraction. A reading
without a value has its flag only. Times are nanoseconds: the only precision whose name all versions of the write path
read alike (a rewrite to that of InfluxDB 1 takes "us" for nanoseconds, in silence).
"""

from collections.abc import Sequence

import numpy as np

from sensors.batch import Bool, Float64, Int64
from sensors.flags import Flags

MEASUREMENT = "reading"
PRECISION = "us"
_ESCAPED = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})


def named(key: str) -> tuple[str, str]:
    """Station and sensor of a series' key."""
    station, _, sensor = key.partition("/")
    return station, sensor


def head(key: str, kind: str) -> str:
    """Measurement and tags of a series, tags in the order of their names.

    Raises
    ------
    ValueError : a name that no line can hold
    """
    station, sensor = named(key)
    return f"{MEASUREMENT},kind={_tag(kind)},sensor={_tag(sensor)},station={_tag(station)} "


def lines(
    heads: Sequence[str], series: Sequence[int], *, time_us: Int64, value: Float64, flag: Flags, valued: Bool
) -> list[bytes]:
    """One line for each reading; the shortest text that is read back as the same float.

    Parameters
    ----------
    heads : of each series, see `head`
    series : (n,) index into heads
    value : (n,) finite where valued
    valued : (n,) whether the line carries the value; its flag it always does
    """
    assert np.isfinite(value[valued]).all(), "only finite values have a text"
    rows = zip(series, (time_us * 1_000).tolist(), value.tolist(), flag.tolist(), valued.tolist(), strict=True)
    return [
        f"{heads[s]}value={v!r},flag={f} {t}".encode() if has else f"{heads[s]}flag={f} {t}".encode()
        for s, t, v, f, has in rows
    ]


def _tag(text: str) -> str:
    if not text or not text.isprintable() or text.endswith("\\"):
        raise ValueError(f"{text!r} cannot be a tag: expected printable text that does not end with a backslash")
    return text.translate(_ESCAPED)
