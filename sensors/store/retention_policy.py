"""How long readings are kept where."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long what is kept."""

    journal_days: int = 30
    """Readings of days older than this leave the journal once their day's file holds them."""
    days: int = 400
    """So many day files are kept, by count: a clock gone astray must not empty the folder."""
