"""A contact that is made later than it was planned: caps and cooldowns bind it then, too."""

from __future__ import annotations

from collections.abc import Iterator

from agents.checking.counts import CustomerCap, Pause
from agents.checking.history import Finding
from agents.checking.laws import View


def late_faults(view: View, action: str) -> Iterator[Finding]:
    """Find the caps and pauses over contacts that bar an action at the instant it was made.

    What customers did by then is in no row, so rules over events are left out.

    Args:
        view: of that instant, without the contact itself.
        action: its id.
    """
    for law in view.law.laws:
        match law:
            case CustomerCap(words=None) if not law.failures:
                bars = law.bars(view)
            case Pause(words=None):
                bars = law.bars(view)
            case _:
                continue
        for ids, why in bars:
            if action in ids:
                yield law.name, f"{action}, made late at {view.at}: {why}"
