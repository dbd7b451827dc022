"""Sentences of the residents' pages that carry a number or a place. The reviewed ones without are in `api.texts`."""


def over_bank_headline(over_cm: int, *, english: bool) -> str:
    """`น้ำสูงกว่าตลิ่ง 42 ซม.`: what is observed, not a level."""
    if english:
        return f"Water {over_cm} cm over the bank"
    return f"น้ำสูงกว่าตลิ่ง {over_cm} ซม."


def not_announced(places: str, *, english: bool) -> str:
    """Beside what is observed: nobody has announced anything yet."""
    if english:
        return f"At {places} · No warning has been issued yet. Follow announcements closely"
    return f"ที่ {places} · ยังไม่มีประกาศ ติดตามใกล้ชิด"


def keep_away(*, english: bool) -> str:
    """What holds near any water that has left its bed."""
    return "Keep away from the stream" if english else "อยู่ให้ห่างลำน้ำ"


def incomplete_headline(*, english: bool) -> str:
    """Something is known, but not enough to say that all is well."""
    return "Incomplete data" if english else "ข้อมูลไม่ครบ"


def seen_only(places: str, *, english: bool) -> str:
    """Which places are known to be below their lines."""
    return (
        f"No warning, and seen to be normal only at {places}"
        if english
        else f"ไม่มีประกาศเตือนภัย · ทราบว่าปกติเฉพาะ {places}"
    )


def measured_only(places: str, *, english: bool) -> str:
    """Which gauges speak, where no place as a whole is known."""
    return f"No warning. Water is seen only at {places}" if english else f"ไม่มีประกาศเตือนภัย · เห็นระดับน้ำเฉพาะที่ {places}"


def unseen(places: str, *, english: bool) -> str:
    """Which places nobody can see, and what that means."""
    if english:
        return f"No data: {places}. No data does not mean safe"
    return f"ไม่มีข้อมูล: {places} · ไม่มีข้อมูลไม่ได้แปลว่าปลอดภัย"


def not_renewed(clock: str, *, english: bool) -> str:
    """A warning stands although the time that was announced for it has passed."""
    if english:
        return f"Not renewed, last known until {clock}. It stands until officers lift it"
    return f"ยังไม่ได้ต่ออายุ · ที่ทราบล่าสุดมีผลถึง {clock} น. ยังมีผลจนกว่าเจ้าหน้าที่จะประกาศยุติ"
