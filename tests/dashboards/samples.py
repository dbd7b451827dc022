"""Views as the api would fill them, for pictures and for every state a template must survive."""

from typing import Any

from api.views import Moment, World
from api.views.chart import Act, Bar, Chart, ChartLine, ChartRow, Lane, Span, Spot, Threshold, Tick, TimelineView
from api.views.console import AlarmRow, Choice, ConsoleView, DecisionView, DeliveryKpi, IncidentView, Kpi, User
from api.views.public import PhoneMessage, PhoneView, PublicView, Reading, RiverView, Village
from api.views.signin import SignInView
from api.views.station import Completeness, DayRow, HealthCard, ReadingRow, StationView, ThresholdRow
from api.views.stations import PanelView, Pin, StationRow, StationsView
from api.views.wall import WallStation, WallView

NOW_US = 1_795_332_900_000_000
"""2026-11-22 14:35 in Bangkok."""
HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"
LONG = "ศูนย์พัฒนาเด็กเล็กองค์การบริหารส่วนตำบลโพนยางบ้านดอนกลางหมู่ที่ห้าริมห้วยสำราญฝั่งตะวันออก"
WORDS = {3: "วิกฤต", 2: "เตือนภัย", 1: "เฝ้าระวัง", 0: "ปกติ", -1: "ขัดข้อง", -2: "ไม่มีข้อมูล"}
LEVELS = tuple(sorted(WORDS))


def moment(clock: str = "14:35", ago: str = "2 นาทีที่แล้ว") -> Moment:
    return Moment(iso=f"2026-11-22T{clock}:00+07:00", clock=clock, date="อาทิตย์ 22 พ.ย. 2569", ago=ago)


def world(**changes: Any) -> World:
    values: dict[str, Any] = {
        "kind": "actual",
        "speed": 1.0,
        "now": moment(),
        "place": "อบต.โพนยาง",
        "place_long": "อ.วังหิน จ.ศรีสะเกษ",
        "place_en": "Phon Yang",
        "judging": True,
    }
    return World(**values | changes)


def user(**changes: Any) -> User:
    values: dict[str, Any] = {
        "name": "officer1",
        "role_thai": "เจ้าพนักงานป้องกันฯ",
        "csrf": "token-1",
        "may_acknowledge": True,
        "may_release": True,
    }
    return User(**values | changes)


def decision(**changes: Any) -> DecisionView:
    values: dict[str, Any] = {
        "episode": "flood.33160801.20261122T0440Z",
        "version": 4,
        "place": "ริมห้วยสำราญ",
        "requested_by": "",
        "choices": (choice("release", 2, "ask"),),
    }
    return DecisionView(**values | changes)


def choice(action: str, level: int, step: str) -> Choice:
    return Choice(action=action, level=level, step=step)


def incident(**changes: Any) -> IncidentView:
    values: dict[str, Any] = {
        "judged_level": 2,
        "judged_word": WORDS[2],
        "public_level": 1,
        "public_word": WORDS[1],
        "known": True,
        "title": "น้ำท่วมริมห้วยสำราญ · หมู่ 1, 3, 7",
        "opened": moment("11:40"),
        "running": "2 ชม. 55 นาที",
        "others": 2,
        "decision": decision(),
    }
    return IncidentView(station="WL-01", **values | changes)


def kpi(key: str, icon: str, label: str, value: str, unit: str, level: int, tag: str, note: str) -> Kpi:
    return Kpi(key=key, icon=icon, label=label, value=value, unit=unit, level=level, tag=tag, note=note)


KPIS = (
    kpi("bank", "water", "ระดับน้ำเทียบตลิ่ง (สูงสุด)", "+0.18", "ม. เหนือตลิ่ง", 3, "วิกฤต", "ฝายห้วยสำราญ ↑ 6 ซม./ชม."),
    kpi("rain", "rain", "ฝนสะสม 24 ชม. (สูงสุด)", "96.5", "มม.", 2, "เตือนภัย", "อบต.โพนยาง · ฝนหนักมาก"),
    kpi("air", "air", "PM2.5 เฉลี่ย 24 ชม.", "18.4", "มคก./ลบ.ม.", 0, "ปกติ", "บ้านโพนยาง"),
    kpi("stations", "station", "สถานีที่ส่งข้อมูล", "7", "/ 8 สถานี", -1, "ขัดข้อง", "AQ-02 ขาดการติดต่อ"),
)


def delivery(**changes: Any) -> DeliveryKpi:
    values: dict[str, Any] = {
        "total": 2048,
        "accepted": 1612,
        "sending": 395,
        "failed": 41,
        "by_channel": (("LINE", 1044), ("SMS", 568)),
        "level": 0,
    }
    return DeliveryKpi(**values | changes)


def alarm(**changes: Any) -> AlarmRow:
    values: dict[str, Any] = {
        "id": "flood.33160802.20261122T0731Z",
        "is_notice": False,
        "level": 3,
        "level_word": WORDS[3],
        "state": "unacknowledged",
        "icon": "water",
        "place": "ฝายห้วยสำราญ",
        "what": "น้ำสูงกว่าตลิ่ง +0.18 ม. · ขึ้น 6 ซม./ชม.",
        "at": moment("14:31", "4 นาทีที่แล้ว"),
        "count": 1,
        "known": True,
        "acknowledged_by": "",
        "acknowledged_at": "",
        "public_word": "",
        "version": 3,
        "decision": None,
        "station": "WL-02",
    }
    values |= changes
    return AlarmRow(**values | {"level_word": WORDS[values["level"]]})


def alarms() -> tuple[AlarmRow, ...]:
    seen: dict[str, Any] = {"state": "acknowledged", "acknowledged_by": "officer1"}
    return (
        alarm(),
        alarm(
            id="flood.33160801.20261122T0440Z",
            level=2,
            place="สะพานบ้านโพนยาง",
            what="น้ำต่ำกว่าตลิ่ง 0.42 ม. · เกณฑ์ 4.50 ม.",
            at=moment("14:20"),
            public_word=WORDS[1],
            decision=decision(),
            station="WL-01",
            tints=("ริมห้วยสำราญ", "หมู่ 1 บ้านโพนยาง"),
        ),
        alarm(
            id="rain.331608.1",
            level=2,
            icon="rain",
            place="ฝน อบต.โพนยาง",
            what="ฝน 24 ชม. 96.5 มม. (เกณฑ์ 90)",
            at=moment("13:50"),
            acknowledged_at="13:52",
            station="RF-01",
            **seen,
        ),
        alarm(
            id="flood.33160807.1",
            level=1,
            place="บ้านทุ่งสว่าง",
            what="น้ำต่ำกว่าตลิ่ง 0.95 ม.",
            at=moment("13:10"),
            acknowledged_at="13:14",
            station="WL-03",
            **seen,
        ),
        alarm(
            id="rain.33160804.1",
            level=1,
            icon="rain",
            place="ฝน โรงเรียนบ้านหัวนา",
            what="ฝน 24 ชม. 71.0 มม. (เกณฑ์ 70)",
            at=moment("12:40"),
            acknowledged_at="12:45",
            station="RF-02",
            **seen,
        ),
        alarm(
            id="7",
            is_notice=True,
            level=-1,
            icon="lost",
            place="ฝุ่น บ้านหนองแวง (AQ-02)",
            what="ไม่มีข้อมูล 2 ชม. 13 นาที",
            at=moment("12:22"),
            count=3,
            acknowledged_at="12:40",
            station="AQ-02",
            **seen,
        ),
    )


def pin(
    station: str, name: str, place: tuple[float, float], glyph: str, text: str, unit: str, level: int, trend: str = ""
) -> Pin:
    return Pin(
        station=station,
        name=name,
        lat=place[0],
        lon=place[1],
        glyph=glyph,
        text=text,
        unit=unit,
        level=level,
        level_word=WORDS[level],
        trend=trend,
        label=f"{name} {text} {unit} {WORDS[level]}",
    )


PINS = (
    pin("WL-03", "บ้านทุ่งสว่าง", (14.93373, 104.186), "water", "−0.95", "ม.", 1, "up"),
    pin("WL-01", "สะพานบ้านโพนยาง", (14.92141, 104.18119), "water", "−0.42", "ม.", 2, "up"),
    pin("WL-02", "ฝายห้วยสำราญ", (14.91283, 104.18373), "water", "+0.18", "ม.", 3, "up"),
    pin("WL-04", "บ้านดอนกลาง", (14.91946, 104.22148), "water", "−2.10", "ม.", 0, "steady"),
    pin("RF-01", "อบต.โพนยาง", (14.92583, 104.19981), "rain", "96.5", "มม.", 2),
    pin("RF-02", "โรงเรียนบ้านหัวนา", (14.93271, 104.21702), "rain", "71.0", "มม.", 1),
    pin("AQ-01", "บ้านโพนยาง", (14.92931, 104.19369), "air", "18", "มคก.", 0),
    pin("AQ-02", "บ้านหนองแวง", (14.94078, 104.20461), "air", "–", "มคก.", -1),
)


def tick(at: float, text: str, *, date: str = "", minor: bool = False) -> Tick:
    return Tick(at=at, text=text, date=date, minor=minor)


def chart(**changes: Any) -> Chart:
    """Six hours of a rising river with one gap, one doubted reading and an hour of rain."""
    values: dict[str, Any] = {
        "key": "WL-01/stage_m",
        "title": "ระดับน้ำและฝน",
        "unit": "ม.",
        "from_top": True,
        "runs": ("0,900 200,880 300,850", "420,700 700,520 970,400"),
        "lonely": (),
        "doubted": (Spot(x=75.0, y=1.0, text="13:14 น. 6.90 ม. · น่าสงสัย", beyond=True),),
        "gaps": (Span(at=30.0, width=12.0, name="missing", text="ไม่มีข้อมูล 45 นาที"),),
        "zones": ((1, 50.0, 20.0), (2, 30.0, 20.0)),
        "lines": (
            ChartLine(level=1, label="เฝ้าระวัง 4.00", at=70.0, label_at=70.0),
            ChartLine(level=2, label="เตือนภัย 4.50", at=50.0, label_at=50.0),
            ChartLine(level=3, label="ตลิ่ง · วิกฤต 5.00", at=30.0, label_at=30.0),
        ),
        "bars": (Bar(at=10.0, width=16.0, height=12.0, text="10:00 น. ฝน 9.5 มม."),),
        "bars_name": "ฝน มม./ชม. · RF-01 อบต.โพนยาง",
        "bar_ticks": (tick(11.7, "10"), tick(23.4, "20")),
        "x_ticks": (tick(10.0, "10:00", date="22 พ.ย. 2569"), tick(40.0, "12:00", minor=True), tick(70.0, "14:00")),
        "y_ticks": (tick(70.0, "4.00"), tick(90.0, "3.00")),
        "now_at": 97.0,
        "newest": Spot(x=97.0, y=40.0, text="14:35 น. 4.58 ม.", beyond=False),
        "quality": (Span(at=0.0, width=97.0, name="good", text="ใช้ได้"),),
        "levels": (Span(at=60.0, width=37.0, name="level-2", text="เตือนภัย 12:00–14:35 น."),),
        "rows": (
            ChartRow(
                iso="2026-11-22T14:30:00+07:00",
                clock="14:30",
                date="22 พ.ย. 2569",
                value="4.58",
                highest="4.60",
                rain="1.2",
                quality="ดี",
            ),
        ),
        "step_text": "ราย 15 นาที",
        "summary": "ระดับน้ำ สะพานบ้านโพนยาง 6 ชม.ล่าสุด · ล่าสุด 4.58 ม. เมื่อ 14:35 น. · ข้อมูลขาด 1 ช่วง รวม 45 นาที",
    }
    return Chart(**values | changes)


def timeline(**changes: Any) -> TimelineView:
    bands = (
        Span(at=40.0, width=30.0, name="level-1", text="เฝ้าระวัง 07:00–11:00 น."),
        Span(at=70.0, width=28.0, name="level-2", text="เตือนภัย 11:00–14:35 น."),
    )
    values: dict[str, Any] = {
        "title": "22 พ.ย. 2569 · 02:35–14:35 น.",
        "lanes": (
            Lane(
                place="ริมห้วยสำราญ", icon="waves", spans=bands, summary="เฝ้าระวัง 07:00–11:00 น., เตือนภัย 11:00–14:35 น."
            ),
        ),
        "acts": (
            Act(at=45.0, icon="check", filled=False, count=1, text="07:20 น. รับทราบ เฝ้าระวัง · ริมห้วยสำราญ · officer1"),
            Act(at=72.0, icon="send", filled=True, count=2, text="11:05 น. ขอประกาศ เตือนภัย; 11:06 น. ประกาศ เตือนภัย"),
        ),
        "ticks": (tick(20.0, "04:00"), tick(50.0, "08:00", minor=True), tick(80.0, "12:00")),
        "now_at": 98.0,
        "word_fits": 9.0,
    }
    return TimelineView(**values | changes)


def health(icon: str, label: str, value: str, *runs: str) -> HealthCard:
    return HealthCard(icon=icon, label=label, value=value, note="7 วัน", runs=runs, bad=False)


def station(**changes: Any) -> StationView:
    values: dict[str, Any] = {
        "world": world(),
        "panel": panel(),
        "english": "Ban Phon Yang bridge",
        "about": (("วัด", "ระดับน้ำ"), ("ตลิ่งต่ำสุด", "5.00 ม.")),
        "window": "6h",
        "windows": (("6h", "6 ชม."), ("24h", "24 ชม."), ("3d", "3 วัน"), ("7d", "7 วัน")),
        "thresholds": (
            ThresholdRow(
                level=2,
                word=WORDS[2],
                value="4.50 ม.",
                share="85% ของตลิ่ง",
                leave="4.30 ม.",
                holds="ขึ้นเมื่อครบ 2 นาที · ลงเมื่อครบ 30 นาที",
                source="half way between the ThaiWater steps",
                author="ค่าเริ่มต้น",
                date="22 พ.ย. 2569",
                surveyed=False,
            ),
        ),
        "health": (
            HealthCard(icon="radio-tower", label="ได้ข้อมูลล่าสุด", value="2 นาทีที่แล้ว", note="14:33 น.", runs=(), bad=False),
            HealthCard(
                icon="battery-warning", label="แบตเตอรี่", value="3.94 V", note="", runs=("0,500 1000,400",), bad=False
            ),
        ),
        "completeness": Completeness(
            share="98.3%",
            since="14:35 น. 15 พ.ย. 2569",
            longest="3 ชม. ตั้งแต่ 19:35 น. 20 พ.ย. 2569",
            days=(DayRow(label="22 พ.ย.", cells=(("full", "00:00 น. 30/30"), ("none", "01:00 น. 0/30")) * 12),),
        ),
        "readings": (ReadingRow(at=moment(), value="4.58 ม.", flag=1, flag_word="ดี"),),
        "csv_url": "/api/v1/series/WL-01/stage_m?format=csv",
        "csv_size": "6 kB",
        "staleness": "fresh",
    }
    return StationView(**values | changes)


def stations(**changes: Any) -> StationsView:
    row = StationRow(
        station="WL-01",
        name="สะพานบ้านโพนยาง",
        icon="water",
        level=2,
        level_word=WORDS[2],
        value="4.58 ม.",
        data=moment(),
        battery="3.94 V",
        flag_word="ดี",
        attention="",
    )
    values: dict[str, Any] = {"world": world(), "rows": (row,)}
    return StationsView(**values | changes)


def wall(**changes: Any) -> WallView:
    values: dict[str, Any] = {
        "world": world(),
        "level": 2,
        "title": "เตือนภัย · น้ำท่วม · ริมห้วยสำราญ",
        "detail": "ประกาศต่อประชาชน: เฝ้าระวัง",
        "stations": (
            WallStation(
                level=2,
                level_word=WORDS[2],
                name="สะพานบ้านโพนยาง",
                value="−0.42",
                unit="ม. จากตลิ่ง",
                trend="up",
                text="ต่ำกว่าตลิ่ง 0.42 ม.",
                chart=chart(),
            ),
        ),
        "facts": (("rain", "ฝน 24 ชม.", "96.5 มม."),),
        "fault": "AQ-02 ขาดการติดต่อ 2 ชม.",
        "pins": PINS,
        "tints": ((2, ("หมู่ 1 บ้านโพนยาง",)),),
        "map_url": "/static/map/base.geojson",
        "bounds": (14.90391, 104.16572, 14.94783, 104.24245),
    }
    return WallView(**values | changes)


def panel(**changes: Any) -> PanelView:
    values: dict[str, Any] = {
        "station": "WL-01",
        "name": "สะพานบ้านโพนยาง",
        "quantity": "stage_m",
        "unit": "ม.",
        "value": "4.58",
        "level": 2,
        "level_word": WORDS[2],
        "data": moment(),
        "bank_gap": "ต่ำกว่าตลิ่ง 0.42 ม.",
        "percent": "92%",
        "trend": "up",
        "trend_text": "↑ ขึ้น 11 ซม./ชม.",
        "window_h": 6,
        "thresholds": (
            Threshold(level=0, label="ตลิ่ง 5.00", value=5.0),
            Threshold(level=2, label="เตือนภัย 4.50", value=4.5),
            Threshold(level=1, label="เฝ้าระวัง 4.00", value=4.0),
        ),
        "rain_name": "RF-01/rain_mm",
        "facts": (("ฝน 24 ชม. (RF-01)", "96.5 มม."), ("คุณภาพข้อมูล", "ดี"), ("แบตเตอรี่", "3.94 V")),
        "summary": "สะพานบ้านโพนยาง น้ำ 4.58 ม. ต่ำกว่าตลิ่ง 0.42 ม. และกำลังขึ้น",
        "chart": chart(),
    }
    return PanelView(**values | changes)


def console(**changes: Any) -> ConsoleView:
    values: dict[str, Any] = {
        "world": world(),
        "user": user(),
        "incident": incident(),
        "kpis": KPIS,
        "delivery": delivery(),
        "alarms": alarms(),
        "unacknowledged": 2,
        "pins": PINS,
        "panel": panel(),
        "map_url": "/static/map/base.geojson",
        "bounds": (14.90391, 104.16572, 14.94783, 104.24245),
        "timeline": timeline(),
    }
    return ConsoleView(**values | changes)


def river(**changes: Any) -> RiverView:
    values: dict[str, Any] = {
        "name": "สะพานบ้านโพนยาง",
        "has_bank": True,
        "gap_cm": 42,
        "fill": 0.72,
        "headline": "ต่ำกว่าตลิ่ง 42 เซนติเมตร",
        "trend": "up",
        "trend_text": "น้ำกำลังขึ้น ชั่วโมงละ 11 ซม.",
        "data": moment(),
    }
    return RiverView(**values | changes)


VILLAGES = (
    ("33160801", "หมู่ 1 บ้านโพนยาง", 2),
    ("33160802", "หมู่ 2 บ้านหนองแวง", 0),
    ("33160803", "หมู่ 3 บ้านโนนสำราญ", 2),
)
BANNERS: dict[int, tuple[str, str, str, str]] = {
    3: ("อพยพทันที", "หมู่ 1, 3, 7 · น้ำล้นตลิ่งแล้ว", "ออกจากบ้านเดี๋ยวนี้ ไปที่สูง", "ห้ามข้ามสะพานโพนยาง"),
    2: ("เตือนภัยน้ำท่วม", "หมู่ 1, 3, 7 · ริมห้วยสำราญ", "น้ำอาจล้นตลิ่งวันนี้", "ขณะนี้ต่ำกว่าตลิ่ง 42 ซม."),
    1: ("เฝ้าระวังน้ำท่วม", "หมู่ 1, 3, 7 · ริมห้วยสำราญ", "น้ำกำลังขึ้น ติดตามข่าว", ""),
    0: ("ปกติ", "ตำบลโพนยาง ทุกหมู่บ้าน", "ไม่มีประกาศเตือนภัยในตำบล", "น้ำต่ำกว่าตลิ่งทุกสถานี"),
    -2: ("ไม่มีข้อมูล", "ตำบลโพนยาง", "ระบบมองไม่เห็นระดับน้ำในขณะนี้", "ถ้าเห็นน้ำขึ้น ให้ออกก่อน"),
}


def public(level: int = 2, **changes: Any) -> PublicView:
    headline, where, sentence, detail = BANNERS[level]
    values: dict[str, Any] = {
        "world": world(),
        "level": level,
        "level_word": WORDS[level],
        "calm": level == 0,
        "headline": headline,
        "where": where,
        "sentence": sentence,
        "detail": detail,
        "do_now": (
            ("package", "ยกของขึ้นที่สูง ตัดไฟชั้นล่าง", ""),
            ("car", "ย้ายรถ สัตว์เลี้ยง และผู้ป่วยติดเตียง", "ให้เสร็จก่อนน้ำถึงตลิ่ง"),
            ("backpack", "เตรียมยา เอกสาร น้ำดื่ม ไฟฉาย", ""),
            ("ban", "ห้ามเดินหรือขับรถลุยน้ำไหลแรง", ""),
        ),
        "villages": tuple(Village(code=code, name=name, level=danger, chosen=False) for code, name, danger in VILLAGES),
        "rivers": (river(),),
        "readings": (
            Reading(icon="rain", label="ฝน 24 ชม.", value="96.5", unit="มม.", word="ฝนหนักมาก", tone="level-2"),
            Reading(icon="air", label="ฝุ่น PM2.5", value="18", unit="มคก.", word="", tone="plain"),
        ),
        "data": moment(),
        "staleness": "fresh",
        "language": "th",
        "large_text": False,
    }
    return PublicView(**values | changes)


def phone(**changes: Any) -> PhoneView:
    text = "[เตือนภัย] อบต.โพนยาง: น้ำอาจท่วมริมห้วยสำราญ หมู่ 1, 3, 7\nยกของขึ้นที่สูง ย้ายรถและผู้ป่วย\nโทร 1784"
    values: dict[str, Any] = {
        "world": world(speed=120.0),
        "messages": (
            PhoneMessage(text=text, level=2, at=moment("14:21"), target="หมู่ 1"),
            PhoneMessage(text=text, level=3, at=moment("14:32"), target="หมู่ 1"),
            PhoneMessage(text="ยุติเหตุน้ำท่วม ขอบคุณที่ร่วมมือ", level=0, at=moment("14:34"), target="หมู่ 3"),
        ),
    }
    return PhoneView(**values | changes)


def signin(**changes: Any) -> SignInView:
    values: dict[str, Any] = {
        "world": world(),
        "csrf": "token-1",
        "error": "",
        "account": "",
        "action": "/signin",
        "next": "/console",
    }
    return SignInView(**values | changes)
