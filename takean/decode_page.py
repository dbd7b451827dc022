"""What `takean decode` prints for a person, Thai first."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alerts import words
from ingest.message import Reason
from takean.decode import Decoded, Reading

REFUSALS_SHOWN = 20
"""To a person; the object has all."""
THAI = {
    Reason.NOT_JSON: "ไม่ใช่ JSON ที่ถูกต้อง",
    Reason.NOT_CBOR: "ไม่ใช่ CBOR ที่ถูกต้อง",
    Reason.NOT_SPARKPLUG: "ไม่ใช่ Sparkplug B ที่ถูกต้อง",
    Reason.WRONG_SHAPE: "รูปแบบข้อความไม่ถูกต้อง",
    Reason.BAD_NUMBER: "ค่าไม่ใช่ตัวเลขที่ใช้ได้",
    Reason.BAD_TIME: "ไม่มีเวลา หรือเวลาไม่ถูกต้อง",
    Reason.UNKNOWN_NAME: "สถานีไม่มีค่าชื่อนี้",
    Reason.UNKNOWN_UNIT: "แปลงหน่วยนี้ไม่ได้",
    Reason.UNKNOWN_DEVICE: "ถอดรหัสของอุปกรณ์นี้ไม่ได้",
    Reason.SIMULATED: "ข้อมูลจำลอง ไม่ใช่ค่าที่วัดจริง",
    Reason.UNBORN: "ยังไม่ได้รับข้อความ birth ของอุปกรณ์",
    Reason.TOO_MANY: "จำนวนค่าเกินกำหนด",
    Reason.TOO_LARGE: "ข้อความใหญ่เกินกำหนด",
    Reason.FOREIGN_TOPIC: "หัวข้อ (topic) ไม่ตรงกับข้อความ",
}
"""What a codec may say, for who reads no English."""
_MODEL_HINT = (
    "ลองระบุรุ่นด้วย --model และค่าบนป้ายเครื่องด้วย --parameter · say the model with --model, and what its label says"
    " with --parameter"
)


def told(decoded: Decoded) -> RenderableType:
    """Say it to a person: the format, the readings and the refusals of one payload, Thai first."""
    what = [f"{decoded.file}: {decoded.bytes} bytes", decoded.format or "ไม่รู้จักรูปแบบ · no known format", decoded.kind]
    what += [f"written in {decoded.written}"] if decoded.written else []
    what += [f"device {_plain(decoded.device)}"] if decoded.device else []
    parts: list[RenderableType] = [Text(" · ".join(word for word in what if word), style="bold", overflow="fold")]
    if decoded.readings:
        parts.append(_table(decoded.readings))
    else:
        parts.append(Text("ไม่มีค่าที่รับได้ · no reading is good", style="yellow"))
    for refusal in decoded.refused[:REFUSALS_SHOWN]:
        why = f"ไม่รับ: {THAI[Reason(refusal.reason)]} · refused, {refusal.reason}: {_plain(refusal.detail)}"
        parts.append(Text(why, style="red", overflow="fold"))
    if len(decoded.refused) > REFUSALS_SHOWN:
        more = len(decoded.refused) - REFUSALS_SHOWN
        parts.append(Text(f"และอีก {more} รายการ · and {more} more", style="red"))
    if any(refusal.reason == Reason.UNKNOWN_DEVICE for refusal in decoded.refused):
        parts.append(Text(_MODEL_HINT, style="yellow"))
    return Group(*parts)


def _table(readings: Sequence[Reading]) -> Table:
    table = Table("เวลา · time +07:00", "สถานี · station", "ชื่อ · name", box=None, pad_edge=False)
    table.add_column("ค่า · value", justify="right", no_wrap=True)
    table.add_column("หน่วย · unit", no_wrap=True)
    for each in readings:
        day, clock = words.thai_date(each.time_us, weekday=False), each.time[11:].removesuffix("+07:00")
        clock = clock.rstrip("0") if "." in clock else clock
        table.add_row(
            Text(f"{day} {clock}"),
            Text(_plain(each.station) or "-", overflow="fold"),
            Text(_plain(each.name), overflow="fold"),
            Text("ไม่มีค่า · missing" if each.value is None else f"{each.value:.12g}"),
            Text("?" if each.unit is None else each.unit),
        )
    return table


def _plain(text: str) -> str:
    """Text from outside as it may stand on a terminal."""
    return text if text.isprintable() else ascii(text)
