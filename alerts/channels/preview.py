"""The preview phone: messages of exercises and tests appear on a screen, and nowhere else."""

from collections.abc import Callable
from typing import Protocol

from alerts.channels import Outcome, Outgoing, Sent
from alerts.episode import Kind

IS_FOR_EXERCISES = "preview_is_for_exercises"


class PreviewPhone(Protocol):
    """What the channel needs of the ledger."""

    def preview_put(self, *, key: str, kind: Kind, target: str, text: str, level: int, now_us: int) -> None:
        """See `AlertLedger.preview_put`."""


class PreviewChannel:
    """Accepts exercises and tests. An actual warning is refused: nobody is warned by a screen that nobody holds."""

    name = "preview"

    def __init__(self, phone: PreviewPhone, *, now_us: Callable[[], int]) -> None:
        """`now_us` is the judgement clock, microseconds UTC: messages stand beside events on the screen."""
        self._phone = phone
        self._now_us = now_us

    def send(self, message: Outgoing) -> Sent:
        """Put it on the screen; the same key twice is one message."""
        if message.kind is Kind.ACTUAL:
            return Sent(outcome=Outcome.REFUSED, reason=IS_FOR_EXERCISES)
        self._phone.preview_put(
            key=message.key,
            kind=message.kind,
            target=message.target,
            text=message.text,
            level=message.level,
            now_us=self._now_us(),
        )
        return Sent(outcome=Outcome.ACCEPTED)
