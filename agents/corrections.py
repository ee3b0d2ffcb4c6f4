"""Corrections: an outcome that was reported wrongly is restated or taken back, and never edited.

What was reported stays in the ledger as it came; what counts is worked out from the reports and
their corrections, in one place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any, Self

from agents.context import Contact
from agents.counters import Charge
from agents.decisions import OutcomeEvent
from agents.revision import Revision
from agents.rewards import newly_counted
from agents.units import parse_instant


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be thought of an outcome from now on.

    Args:
        correction_id: the caller's id; one namespace with the ids of outcomes.
        outcome_id: of the outcome that it adjusts.
        at: when it was said (UTC).
        properties: the numbers that came with it, all of them; None if it never happened.
    """

    correction_id: str
    outcome_id: str
    at: datetime
    properties: Mapping[str, float] | None = None

    @property
    def retracts(self) -> bool:
        """Whether the outcome never happened; that is final."""
        return self.properties is None

    def to_record(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        properties = None if self.properties is None else dict(self.properties)
        return {
            "correction_id": self.correction_id, "outcome_id": self.outcome_id,
            "at": self.at.isoformat(), "properties": properties,
        }  # fmt: skip

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild a correction from `to_record`."""
        return cls(**{**record, "at": parse_instant(record["at"])})


def corrected(
    events: Iterable[OutcomeEvent], corrections: Iterable[Correction]
) -> list[OutcomeEvent]:
    """Return outcomes as they are thought of after their corrections.

    Args:
        events: as they were reported, in the order of commit.
        corrections: in the order of commit; of several of one outcome the last stands, but what
            was retracted stays so.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> events = [OutcomeEvent(name, "d", "order", noon, {"amount": 9.0}) for name in "ab"]
        >>> said = [Correction("x", "a", noon), Correction("y", "b", noon, {"amount": 4.0})]
        >>> [(event.outcome_id, event.properties) for event in corrected(events, said)]
        [('b', {'amount': 4.0})]
    """
    last: dict[str, Correction] = {}
    for correction in corrections:
        before = last.get(correction.outcome_id)
        if before is None or not before.retracts:
            last[correction.outcome_id] = correction
    kept = []
    for event in events:
        said = last.get(event.outcome_id)
        if said is None:
            kept.append(event)
        elif said.properties is not None:
            kept.append(replace(event, properties=said.properties))
    return kept


Also = Callable[[OutcomeEvent, list[str], bool], Iterable[Charge]]
"""Charges of an event beside its own revision's: the words before it, whether it counts."""


def event_charges(
    revision: Revision,
    decided_at: datetime,
    contact: Contact,
    events: Sequence[OutcomeEvent],
    also: Also | None = None,
) -> dict[tuple[str, int], float]:
    """Return what the events of one decision have added to each bucket of the counters, in all.

    Args:
        revision: that decided.
        decided_at: when.
        contact: what the decision sent.
        events: in the order in which they were heard.
        also: what each has used of other counters.
    """
    amounts: dict[tuple[str, int], float] = defaultdict(float)
    for place, event in enumerate(events if revision.counters or also is not None else ()):
        before = events[:place]
        words = [earlier.outcome for earlier in before]
        counts = bool(newly_counted(revision.agent, decided_at, before, event))
        charges = revision.event_charges(event, contact, before=words, counted=counts)
        more = () if also is None else also(event, words, counts)
        for counter, bucket, amount in chain(charges, more):
            amounts[counter, bucket] += amount
    return amounts


def difference(
    before: Mapping[tuple[str, int], float], after: Mapping[tuple[str, int], float]
) -> tuple[Charge, ...]:
    """Return the charges that lead from one sum of charges to another.

    Example:
        >>> difference({("sms", 3): 2.0, ("cost", 3): 1.0}, {("sms", 3): 1.0, ("cost", 3): 1.0})
        (Charge(counter='sms', bucket=3, amount=-1.0),)
    """
    changes = (
        Charge(*place, after.get(place, 0.0) - before.get(place, 0.0))
        for place in sorted({*before, *after})
    )
    return tuple(change for change in changes if change.amount)


def undone(
    revision: Revision,
    decided_at: datetime,
    contact: Contact,
    events: Sequence[OutcomeEvent],
    also: Also | None = None,
) -> tuple[Charge, ...]:
    """Return the charges that give back a contact which was not made, and all that followed it.

    The arguments are those of `event_charges`.
    """
    amounts = event_charges(revision, decided_at, contact, events, also)
    for counter, bucket, amount in revision.charges(revision.index(contact.action), contact.at):
        amounts[counter, bucket] += amount
    return difference(amounts, {})
