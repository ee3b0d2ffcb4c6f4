from __future__ import annotations

from datetime import datetime

from agents.corrections import Correction, corrected, difference
from agents.counters import Charge
from agents.decisions import OutcomeEvent


def event(name: str, word: str, at: datetime, decision_id: str = "d") -> OutcomeEvent:
    return OutcomeEvent(name, decision_id, word, at, {"amount": 1.0}, "ann")


def test_the_last_correction_stands_and_a_retraction_for_good(noon: datetime) -> None:
    events = [event(name, "bought", noon) for name in "abc"]
    said = [
        Correction("1", "a", noon, {"amount": 2.0}),
        Correction("2", "a", noon, {"amount": 3.0}),
        Correction("3", "b", noon),
        Correction("4", "b", noon, {"amount": 4.0}),
        Correction("5", "unknown", noon),
    ]
    kept = corrected(events, said)
    assert [(e.outcome_id, e.properties) for e in kept] == [
        ("a", {"amount": 3.0}), ("c", {"amount": 1.0}),
    ]  # fmt: skip
    assert corrected(events, []) == events
    assert [Correction.from_record(each.to_record()) for each in said] == said


def test_a_difference_leads_from_one_sum_to_the_other() -> None:
    before, after = {("a", 1): 2.0, ("b", 1): 1.0}, {("a", 1): 2.0, ("b", 2): 3.0}
    assert difference(before, after) == (Charge("b", 1, -1.0), Charge("b", 2, 3.0))
    assert difference(after, after) == ()
