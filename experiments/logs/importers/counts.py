"""What the lines of a DSJSON log were, counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counts:
    """What the lines of a DSJSON log were.

    Args:
        read: lines, empty ones left out.
        learnable: events that were shown and have a reward.
        dangling: rewards whose event is not there; they are left out.
        inactive: events marked `_skipLearn`, or deferred and never activated: imported as contacts
            that were not made, so that nothing learns or values them.
        unlabelled: events without a reward: imported as decisions that are still open.
        decisions: rows of the log; an event of several slots has one for each.
        thinned: decisions that stand for more than themselves, as others were dropped.
    """

    read: int = 0
    learnable: int = 0
    dangling: int = 0
    inactive: int = 0
    unlabelled: int = 0
    decisions: int = 0
    thinned: int = 0

    @property
    def skipped(self) -> int:
        """Lines from which nothing is learned: dangling rewards and inactive events."""
        return self.dangling + self.inactive

    def to_record(self) -> dict[str, int]:
        """Return plain values for JSON."""
        return asdict(self) | {"skipped": self.skipped}

    def __str__(self) -> str:
        return (
            f"{self.learnable:,} of {self.read:,} cooked lines learnable, {self.skipped:,} skipped"
            f" ({self.dangling:,} dangling rewards, {self.inactive:,} inactive events)"
        )
