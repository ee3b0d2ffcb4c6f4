from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from agents.context import Context
from agents.decisions import OutcomeEvent
from agents.groups import position
from agents.guardrails.maturity import positive_words
from agents.memory import Memory
from agents.revision import Revision

RAMP = "{start_share: 0.1, full_at_positives: 40}"
SALE, HELP = "sale/plain@sms", "help/short@email"
PEOPLE = [f"customer {number}" for number in range(2_000)]


def reason(
    revision: Revision, base: Context, customer: str, positives: float, action: str = SALE
) -> str | None:
    usage = {reading.key: 40.0 for reading in revision.readings(base)}
    usage[f"positives:helper/{action}@0"] = positives
    context = replace(base, customer=customer, usage=usage)
    return revision.mask(context).reasons[revision.index(action)]


def open_to(revision: Revision, base: Context, positives: float) -> set[str]:
    return {name for name in PEOPLE if reason(revision, base, name, positives) is None}


def test_the_share_grows_in_a_line_and_only_adds(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(maturity=RAMP)
    base = revision.context("ann", noon, features)
    before: set[str] = set()
    for positives in (0, 10, 20, 39, 40, 41):
        share = min(1.0, 0.1 + 0.9 * positives / 40)
        now = open_to(revision, base, positives)
        error = (share * (1.0 - share) / len(PEOPLE)) ** 0.5
        assert abs(len(now) / len(PEOPLE) - share) <= 4.0 * error
        assert before <= now
        before = now
    assert len(before) == len(PEOPLE)


def test_who_is_inside_is_drawn_by_hash_for_each_action(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(maturity=RAMP)
    base = revision.context("ann", noon, features)
    for action in (SALE, HELP):
        salt = f"maturity\0helper\0{action}"
        for name in PEOPLE[:200]:
            found = reason(revision, base, name, 8.0, action)
            assert (found is None) is (position(salt, name) < 0.1 + 0.9 * 8 / 40)


def test_reasons(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(maturity=RAMP)
    base = revision.context("ann", noon, features)
    outside = next(name for name in PEOPLE if reason(revision, base, name, 8.0) is not None)
    assert reason(revision, base, outside, 8.0) == (
        "maturity: open to 28.0% of customers after 8 of 40 successes"
    )
    assert str(reason(revision, base, outside, float("nan"))).startswith("maturity: open to nan%")
    unread = revision.mask(base)
    assert unread.reasons[1] == "maturity: how often it succeeded so far is unknown"
    assert unread.reasons[0] is None


def test_without_a_ramp_everything_is_open_at_once(build: Callable[..., Revision]) -> None:
    revision = build()
    assert revision.counters == ()
    assert "maturity" not in {rule.name for rule in revision.guardrails}


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ("{bought: {value: 9, window: 7d}, angry: {value: -4, window: 2d}}", {"bought"}),
        ("{bought: {value: 9, window: 7d}, seen: {value: 0, window: 2d}}", {"bought"}),
        (
            "{bought: {value: 9, window: 7d}, kept: {value: 1, window: 9d, event: stayed,"
            " metric: primary}, angry: {value: -4, window: 2d, metric: guardrail}}",
            {"stayed"},
        ),
    ],
)
def test_what_a_success_is(build: Callable[..., Revision], outcomes: str, words: set[str]) -> None:
    revision = build(outcomes=outcomes, maturity=RAMP)
    assert positive_words(revision.agent) == words
    assert {counter.events for counter in revision.counters} == {frozenset(words)}
    assert {counter.measure for counter in revision.counters} == {"positives"}
    assert [counter.actions for counter in revision.counters] == [(i,) for i in range(1, 6)]


def test_successes_of_the_action_itself_open_it(
    build: Callable[..., Revision],
    send: Callable[..., str],
    features: dict[str, object],
    noon: datetime,
) -> None:
    revision, memory = build(maturity="{start_share: 0.1, full_at_positives: 4}"), Memory()
    other = next(n for n in PEOPLE if position(f"maturity\0helper\0{SALE}", n) > 0.8)

    def reasons(at: datetime) -> tuple[str | None, str | None]:
        mask = revision.mask(memory.recall(revision, other, at, features))
        return mask.reasons[revision.index(SALE)], mask.reasons[revision.index(HELP)]

    first = reasons(noon)
    for number in range(4):
        at = noon + timedelta(hours=number)
        decision = send(memory, revision, SALE, at, f"c{number}")
        for word in ("complained", "bought", "bought"):  # it counts once
            event = OutcomeEvent(f"{word}{at}", decision, word, at, customer=f"c{number}")
            memory.hear(event)
        assert str(reasons(at)[0] or "open").startswith("maturity" if number < 3 else "open")
    last = reasons(noon + timedelta(days=1))
    assert str(first[0]).endswith("after 0 of 4 successes")
    assert last == (None, first[1])
