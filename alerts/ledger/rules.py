"""Small rules that every ledger keeps in the same words."""

from alerts.episode import Kind, Notice, Purpose
from alerts.ledger import CHUNK_MAX, DeliveryState

TAKEN_ON = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
"""States in which a message has left us for its recipient."""

NOBODY_REACHED = "nobody_reached"
"""Code of the notice of an alert that was released and had nobody to go to."""

NOBODY_CALLED = "nobody_called"
"""Code of the notice of a call in a chain for which nobody on call has an address."""

_NOBODY = {
    Purpose.ALERT: (NOBODY_REACHED, "ประกาศแล้วแต่ไม่มีผู้รับ · released, but nobody has an address there"),
    Purpose.CALL: (NOBODY_CALLED, "เรียกผู้รับผิดชอบไม่ได้ ไม่มีที่อยู่ · nobody who is on call has an address"),
}


def check_limit(limit: int) -> None:
    """Refuse what is no short transaction.

    Raises
    ------
    ValueError : not 1 to CHUNK_MAX
    """
    if not 1 <= limit <= CHUNK_MAX:
        raise ValueError(f"limit is {limit} but must be 1 to {CHUNK_MAX}")


def lapses_by(real_us: int, *, lease_us: int) -> int:
    """Furthest end that a lease can have if the real clock only went forward, and some.

    Twice the lease, not once: a sender that read its clock and then waited for its turn to write must not take the
    lease that another one got meanwhile for a leftover of a clock put back.
    """
    return real_us + 2 * lease_us


def nobody_reached(purpose: Purpose, *, kind: Kind, episode: str, at_us: int) -> Notice:
    """What an officer must see of an alert or a call that went out to nobody; `at_us` by the judgement clock."""
    code, text = _NOBODY[purpose]
    return Notice(kind=kind, code=code, subject=episode, text=text, at_us=at_us)
