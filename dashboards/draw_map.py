"""Draw the sample tambon: `python -m dashboards.draw_map` writes `web/static/map/base.geojson`.

Everything on it is invented: stream shapes, roads, villages. It stands in until `--map FILE.geojson` names a real one.
Points below are in drawing units (9.4 m, x to the east, y to the south) so that they can be read off a sketch.
"""

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from math import cos, pi, radians, sin
from pathlib import Path
from typing import Any

Point = tuple[float, float]

FILE = Path(__file__).parent / "web" / "static" / "map" / "base.geojson"
CENTRE: Point = (468, 295)
CENTRE_LAT, CENTRE_LON = 14.926, 104.204
UNIT_M = 9.4
SEED = 331608
"""Tambon code of the sample; any number would do, but it must not change the drawing between runs."""


def points(text: str) -> tuple[Point, ...]:
    """Read `x,y x,y ...`."""
    return tuple((float(x), float(y)) for x, y in (pair.split(",") for pair in text.split()))


VILLAGES: tuple[tuple[Point, str], ...] = (
    ((405, 305), "บ้านโพนยาง"),
    ((458, 137), "บ้านหนองแวง"),
    ((228, 366), "บ้านโนนสำราญ"),
    ((620, 232), "บ้านหัวนา"),
    ((712, 380), "บ้านดอนกลาง"),
    ((515, 457), "บ้านโคกใหญ่"),
    ((192, 187), "บ้านทุ่งสว่าง"),
    ((828, 270), "บ้านหนองบัว"),
)
BOUNDARY = points(
    "37,229 60,178 93,130 125,119 160,112 230,84 270,66 330,60 440,44 490,43 560,58 610,70 690,78 "
    "740,95 790,110 840,128 885,180 901,220 897,250 880,275 830,300 800,340 765,385 757,430 "
    "740,478 690,514 640,540 570,548 500,547 400,544 300,546 228,532 200,510 180,480 165,440 "
    "163,400 165,385 130,350 90,310 55,265"
)
RIVER = points(
    "452,-130 432,-40 388,10 345,42 312,75 296,105 300,130 320,150 310,172 286,192 262,204 "
    "235,228 206,250 196,272 203,297 213,324 207,349 198,373 187,396 190,418 208,437 236,450 "
    "268,470 300,500 328,532 352,590 382,700"
)
TRIBUTARY = points(
    "1060,545 905,462 850,446 800,412 765,378 720,368 668,372 620,358 580,345 545,310 515,274 "
    "480,263 445,268 400,246 350,224 295,214 235,228"
)
MAJOR_ROADS = (
    points("-250,372 7,353 150,351 207,349 300,331 405,318 500,326 620,325 720,312 820,289 917,276 1180,262"),
)
ROADS = (
    points("176,-150 163,90 190,186 176,262 180,330 184,351 228,372 226,450 200,530 160,720"),
    points("500,-150 486,60 458,137 424,220 405,305 410,322 450,400 515,457 522,540 532,720"),
    points("130,205 192,187 300,168 458,137 540,172 620,232 720,258 828,270"),
    points("828,270 900,282 1180,330"),
    points("620,232 680,280 714,314 712,380 726,440 744,530 756,720"),
    points("405,305 480,272 560,246 620,232"),
    points("228,372 330,408 450,400"),
    points("515,457 610,440 712,380"),
)
PONDS: tuple[tuple[Point, float, float], ...] = (
    ((533, 190), 30, 15),
    ((677, 278), 13, 11),
    ((385, 427), 12, 10),
    ((585, 434), 9, 8),
    ((800, 302), 13, 8),
    ((315, 118), 10, 7),
)
GROVES: tuple[tuple[Point, float, float], ...] = (
    ((627, 135), 35, 29),
    ((730, 187), 22, 18),
    ((128, 300), 28, 18),
    ((560, 505), 26, 14),
    ((300, 265), 22, 15),
)
LABELS: dict[str, Point] = {"ห้วยสำราญ": (366, 98), "ห้วยโพนยาง": (596, 382)}
"""Where the names of the streams stand, clear of pins."""


def lon_lat(point: Point) -> list[float]:
    """Place a drawing point on the earth: degrees, five decimals (1 m)."""
    x, y = point
    return [
        round(CENTRE_LON + (x - CENTRE[0]) * UNIT_M / (111_320 * cos(radians(CENTRE_LAT))), 5),
        round(CENTRE_LAT - (y - CENTRE[1]) * UNIT_M / 110_650, 5),
    ]


def smooth(knots: Sequence[Point], *, closed: bool = False, steps: int = 4) -> list[Point]:
    """Round the corners of a line: a Catmull-Rom spline through its points."""
    first, last = (knots[-1], knots[0]) if closed else (knots[0], knots[-1])
    run = [first, *knots, last, *([knots[1]] if closed else [])]
    curve: list[Point] = []
    for a, b, c, d in zip(run, run[1:], run[2:], run[3:], strict=False):
        for step in range(steps):
            t = step / steps
            x, y = (
                0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * (q - r) + s - p) * t**3)
                for p, q, r, s in zip(a, b, c, d, strict=True)
            )
            curve.append((x, y))
    return [*curve, knots[0] if closed else knots[-1]]


def blob(rng: random.Random, centre: Point, rx: float, ry: float) -> list[Point]:
    """Draw an uneven closed shape around a point: a pond, a grove."""
    corners = []
    for turn in range(9):
        angle, swell = 2 * pi * turn / 9, rng.uniform(0.78, 1.12)
        corners.append((centre[0] + rx * swell * cos(angle), centre[1] + ry * swell * sin(angle)))
    return smooth(corners, closed=True, steps=3)


def mosaic(rng: random.Random, tones: int) -> list[list[list[Point]]]:
    """Cut the land into uneven fields, one list of rings per tone."""
    step_x, step_y, columns, rows = 42, 40, 34, 22
    grid = [
        [
            (-250 + step_x * (i + rng.uniform(-0.33, 0.33)), -150 + step_y * (j + rng.uniform(-0.33, 0.33)))
            for i in range(columns + 1)
        ]
        for j in range(rows + 1)
    ]
    fields: list[list[list[Point]]] = [[] for _ in range(tones)]
    for upper, lower in pairwise(grid):
        for (a, b), (d, c) in zip(pairwise(upper), pairwise(lower), strict=True):
            fields[rng.randrange(tones)].append([a, b, c, d, a])
    return fields


def houses(rng: random.Random, centre: Point, count: int) -> list[list[Point]]:
    """Scatter roofs around a village, denser in its middle."""
    roofs = []
    for _ in range(count):
        x, y = rng.gauss(centre[0], 14), rng.gauss(centre[1], 9)
        w, h = rng.uniform(1.4, 2.8), rng.uniform(1.2, 2.2)
        roofs.append([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)])
    return roofs


def feature(layer: str, kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"layer": layer, **properties},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def drawing() -> dict[str, Any]:
    """Compose the whole map as a GeoJSON FeatureCollection; the same on every run."""
    rng = random.Random(SEED)  # noqa: S311  (a drawing, not a secret)
    rings = {
        tone: [[[lon_lat(p) for p in ring]] for ring in fields] for tone, fields in enumerate(mosaic(rng, tones=4))
    }
    line = {name: [lon_lat(p) for p in smooth(way)] for name, way in (("main", RIVER), ("side", TRIBUTARY))}
    features = [feature("field", "MultiPolygon", polygons, tone=tone) for tone, polygons in rings.items()]
    features += [feature("field", "Polygon", [[lon_lat(p) for p in blob(rng, *grove)]], tone=4) for grove in GROVES]
    names = {name: lon_lat(point) for name, point in LABELS.items()}
    features += [
        feature("stream", "LineString", line["side"], name="ห้วยโพนยาง", label_at=names["ห้วยโพนยาง"]),
        feature("river", "LineString", line["main"], name="ห้วยสำราญ", label_at=names["ห้วยสำราญ"]),
    ]
    features += [feature("pond", "Polygon", [[lon_lat(p) for p in blob(rng, *pond)]]) for pond in PONDS]
    features += [
        feature("road", "LineString", [lon_lat(p) for p in smooth(road)], major=road in MAJOR_ROADS)
        for road in (*ROADS, *MAJOR_ROADS)
    ]
    features += [
        feature(
            "building",
            "MultiPolygon",
            [[[lon_lat(p) for p in roof]] for roof in houses(rng, centre, rng.randint(28, 44))],
        )
        for centre, _ in VILLAGES
    ]
    features.append(feature("boundary", "Polygon", [[lon_lat(p) for p in smooth(BOUNDARY, closed=True)]]))
    features += [
        feature("village", "Point", lon_lat(centre), name=name, moo=f"หมู่ {number}")
        for number, (centre, name) in enumerate(VILLAGES, start=1)
    ]
    return {
        "type": "FeatureCollection",
        "note": "แผนที่ตัวอย่าง วาดขึ้นเอง ไม่ใช่แนวเขตจริง",
        "features": features,
    }


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(drawing(), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
