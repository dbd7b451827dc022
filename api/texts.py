"""What residents are told at each public level: reviewed sentences, Thai first. No place, number or name is in here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNSEEN = -2
"""Nothing is known and nothing is announced."""
QUIET = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicText:
    """The banner of the public page and what to do."""

    headline: str
    sentence: str
    detail: str
    do_now: Sequence[tuple[str, str, str]]
    """(sprite id, action, small text); `{phone}` is the number of the place."""


# Level 3 gives the action itself as its headline (ui-vocabulary-th.csv); actions follow the picture of the public page.
PUBLIC: Mapping[tuple[int, str], PublicText] = {
    (3, "th"): PublicText(
        headline="อพยพทันที",
        sentence="ออกจากบ้านเดี๋ยวนี้ ไปที่สูงหรือศูนย์พักพิง",
        detail="ห้ามข้ามสะพานหรือถนนที่น้ำไหลผ่าน",
        do_now=(
            ("users", "พาผู้สูงอายุ เด็ก ผู้ป่วยออกก่อน", ""),
            ("zap-off", "ตัดไฟหลัก ปิดแก๊ส", "ถ้าทำได้โดยไม่ต้องลุยน้ำ"),
            ("phone", "ออกไม่ได้ โทร 1669 หรือ {phone}", "บอกหมู่บ้านและจำนวนคน"),
        ),
    ),
    (3, "en"): PublicText(
        headline="Evacuate now",
        sentence="Leave your home now. Go to high ground or a shelter",
        detail="Do not cross a bridge or a road with flowing water",
        do_now=(
            ("users", "Take the elderly, children and the sick out first", ""),
            ("zap-off", "Switch off mains power and gas", "only if you need not wade"),
            ("phone", "Cannot leave? Call 1669 or {phone}", "say your village and how many you are"),
        ),
    ),
    (2, "th"): PublicText(
        headline="เตือนภัยน้ำท่วม",
        sentence="น้ำอาจท่วมบ้านและถนนใกล้ลำห้วย",
        detail="เตรียมออกจากบ้านได้ทันทีเมื่อมีประกาศอพยพ",
        do_now=(
            ("package", "ยกของขึ้นที่สูง ตัดไฟชั้นล่าง", ""),
            ("car", "ย้ายรถ สัตว์เลี้ยง และผู้ป่วยติดเตียง", ""),
            ("backpack", "เตรียมยา เอกสาร น้ำดื่ม ไฟฉาย", ""),
            ("ban", "ห้ามเดินหรือขับรถลุยน้ำไหลแรง", ""),
        ),
    ),
    (2, "en"): PublicText(
        headline="Flood warning",
        sentence="Homes and roads near the stream may flood",
        detail="Be ready to leave at once when told to evacuate",
        do_now=(
            ("package", "Lift belongings, cut power downstairs", ""),
            ("car", "Move vehicles, animals and bedridden patients", ""),
            ("backpack", "Pack medicine, papers, water and a torch", ""),
            ("ban", "Do not walk or drive through fast water", ""),
        ),
    ),
    (1, "th"): PublicText(
        headline="เฝ้าระวังน้ำท่วม",
        sentence="น้ำในลำห้วยอาจสูงขึ้น ติดตามประกาศอย่างใกล้ชิด",
        detail="ยังไม่ต้องออกจากบ้าน",
        do_now=(
            ("bell", "ติดตามประกาศของ อบต. และเสียงตามสาย", ""),
            ("backpack", "เตรียมยา เอกสาร น้ำดื่ม ไฟฉาย", ""),
            ("car", "ดูทางออกและที่จอดรถบนที่สูงไว้ก่อน", ""),
        ),
    ),
    (1, "en"): PublicText(
        headline="Flood watch",
        sentence="Water in the stream may rise. Follow announcements closely",
        detail="You need not leave home yet",
        do_now=(
            ("bell", "Follow the announcements and the village loudspeaker", ""),
            ("backpack", "Pack medicine, papers, water and a torch", ""),
            ("car", "Find your way out and parking on high ground", ""),
        ),
    ),
    (QUIET, "th"): PublicText(
        headline="ปกติ",
        sentence="ไม่มีประกาศเตือนภัย",
        detail="",
        do_now=(("backpack", "เตรียมกระเป๋าฉุกเฉินไว้เสมอ", "ยา เอกสาร น้ำดื่ม ไฟฉาย"),),
    ),
    (QUIET, "en"): PublicText(
        headline="Normal",
        sentence="No warning is in force",
        detail="",
        do_now=(("backpack", "Keep an emergency bag ready", "medicine, papers, water, torch"),),
    ),
    (UNSEEN, "th"): PublicText(
        headline="ไม่มีข้อมูล",
        sentence="ขณะนี้ระบบมองไม่เห็นระดับน้ำ",
        detail="ไม่มีข้อมูลไม่ได้แปลว่าปลอดภัย",
        do_now=(
            ("eye", "สังเกตระดับน้ำด้วยตนเอง", ""),
            ("footprints", "เห็นน้ำขึ้นให้ย้ายไปที่สูง ไม่ต้องรอประกาศ", ""),
            ("phone", "โทร {phone} แจ้งหรือสอบถาม", ""),
        ),
    ),
    (UNSEEN, "en"): PublicText(
        headline="No data",
        sentence="The system cannot see the water level now",
        detail="No data does not mean safe",
        do_now=(
            ("eye", "Watch the water yourself", ""),
            ("footprints", "If you see it rising, go to high ground; do not wait", ""),
            ("phone", "Call {phone} to report or ask", ""),
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPhrases:
    """Short sentences of the public page that depend on what is measured."""

    unwatched: str
    """No water station speaks for the chosen village."""
    below: str
    """Every water station has a current value, all below the bank."""
    raised: str
    """Nothing is announced, but a station stands above one of its lines."""
    over_bank: str
    """The same, but the water has left its bed at the stations that follow."""
    raised_headline: str
    partly_unseen: str
    """Followed by the areas of which nothing is known."""
    stands: str
    """A warning is in force while the system is blind or its data are old."""
    everywhere: str
    no_data: str
    old_data: str


PHRASES: Mapping[str, PublicPhrases] = {
    "th": PublicPhrases(
        unwatched="ไม่มีสถานีวัดระดับน้ำสำหรับหมู่บ้านนี้",
        below="น้ำต่ำกว่าตลิ่งทุกสถานี",
        raised="น้ำสูงถึงเกณฑ์ที่บางสถานี ดูระดับน้ำด้านล่างและติดตามประกาศ",
        over_bank="น้ำล้นตลิ่งแล้วที่ {places} อยู่ให้ห่างลำน้ำ และติดตามประกาศ",
        raised_headline="ไม่มีประกาศเตือนภัย",
        partly_unseen="ไม่มีข้อมูล: ",
        stands="ประกาศนี้ยังมีผล จนกว่าเจ้าหน้าที่จะประกาศยุติ",
        everywhere="ทุกหมู่บ้าน",
        no_data="ไม่มีข้อมูล",
        old_data="ข้อมูลเก่า",
    ),
    "en": PublicPhrases(
        unwatched="No station measures the water for this village",
        below="Water is below the bank at every station",
        raised="Water has reached a threshold at some station: see below and follow announcements",
        over_bank="Water is over the bank at {places}: keep away from the stream and follow announcements",
        raised_headline="No warning in force",
        partly_unseen="No data: ",
        stands="This warning stands until officers lift it",
        everywhere="all villages",
        no_data="No data",
        old_data="Old data",
    ),
}
