"""A change that is told flips the best action, and no smaller one on a grid does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest

from agents.context import Context, FeatureValue
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Agent, Workspace
from policies.base import Distribution, Lesson, Policy
from policies.explaining.flips import Change, _carried, best_action, changes
from policies.hybrid import HybridThompson
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.uniform import Uniform

RICH = Path(__file__).parents[1] / "simulators" / "rich"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
Worth = Callable[[Context], float]


def rich() -> Revision:
    workspace = Workspace.model_validate_json((RICH / "workspace.json").read_bytes())
    return Revision(workspace, Agent.model_validate_json((RICH / "agent.json").read_bytes()))


class Toy(Uniform):
    """Expects of the first action after `none` what a function of the context says, else 0."""

    name: ClassVar[str] = "toy"

    def __init__(self, worth: Worth, count: int) -> None:
        self._worth, self._count = worth, count

    @classmethod
    def of(cls, revision: Revision, worth: Worth) -> Self:
        return cls(worth, len(revision.actions))

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        expected = np.full(self._count, -1.0)  # (A,)
        expected[:2] = 0.0, self._worth(context)
        probabilities = mask.allowed / np.count_nonzero(mask.allowed)
        return Distribution(probabilities, expected)

    def update(self, lessons: Sequence[Lesson]) -> None:
        raise AssertionError("an explanation teaches nothing")


def open_mask(revision: Revision) -> Mask:
    return Mask((None,) * len(revision.actions))


def applied(context: Context, name: str, value: FeatureValue) -> Context:
    return replace(context, features={**context.features, name: value})


def best_after(
    revision: Revision,
    policy: Policy,
    context: Context,
    mask: Mask,
    change: tuple[str, FeatureValue],
) -> int | None:
    """Work out the best action after a change, by a way of its own."""
    features = {**context.features, change[0]: change[1]}
    changed = replace(context, features=features)
    before, after = revision.mask(context), revision.mask(changed)
    reasons = list(mask.reasons)
    for index, (was, now) in enumerate(zip(before.allowed, after.allowed, strict=True)):
        if was != now:
            reasons[index] = after.reasons[index]
    allowed = [i for i, reason in enumerate(reasons) if reason is None]
    if not allowed:
        return None
    expected = policy.distribution(changed, Mask(tuple(reasons))).expected
    return max(allowed, key=lambda index: (expected[index], -index))


def number(change: Change | None) -> float:
    assert change is not None
    assert isinstance(change.after, (int, float))
    return float(change.after)


def found(revision: Revision, worth: Worth, name: str, value: object) -> Change | None:
    policy = Toy.of(revision, worth)
    features = {} if value is None else {name: value}
    context = revision.context("ann", AT, features)
    made = changes(revision, policy, context, open_mask(revision))
    return next((change for change in made if change.field == name), None)


@pytest.mark.parametrize("subject", ["example", "rich"])
def test_every_change_flips_and_none_smaller_on_a_grid_does(
    subject: str, revision: Revision
) -> None:
    subject_revision = revision if subject == "example" else rich()
    rng = np.random.default_rng(7)
    policy = HybridThompson.create(subject_revision)
    policy.update(sample_lessons(subject_revision, 600, rng))
    told = 0
    for number_, context in enumerate(sample_contexts(subject_revision, 10, rng)):
        guarded = subject_revision.mask(context)
        mask = guarded if number_ % 2 else sample_mask(subject_revision, rng)
        was = best_action(policy, context, mask)
        for change in changes(subject_revision, policy, context, mask):
            told += 1
            position = subject_revision.index(change.action)
            assert position != was
            assert position == best_after(
                subject_revision, policy, context, mask, (change.field, change.after)
            )
            for smaller in between(change):
                same = best_after(subject_revision, policy, context, mask, (change.field, smaller))
                assert same == was, (change, smaller)
    assert told > 20


def between(change: Change) -> list[float | int]:
    """Return up to 15 numbers closer to the value now than the one that is told."""
    before, after = change.before, change.after
    if isinstance(before, bool) or not isinstance(before, (int, float)):
        return []
    assert isinstance(after, (int, float))
    points = [before + (after - before) * n / 16 for n in range(1, 16)]
    if isinstance(before, int):
        points = [n for n in dict.fromkeys(map(round, points)) if n not in (before, after)]
    return points


@pytest.mark.parametrize(("now", "limit"), [(100.0, 273.15), (400.0, 273.15), (0.0, 499.9)])
def test_a_number_is_found_to_its_last_digit(revision: Revision, now: float, limit: float) -> None:
    def worth(context: Context) -> float:
        bill = context.features["monthly_bill"]
        assert isinstance(bill, float)
        return 1.0 if bill >= limit else -1.0

    change = found(revision, worth, "monthly_bill", now)
    step = 0.01  # the range is 500
    assert limit - step - 1e-9 <= number(change) <= limit + 1e-9
    assert (number(change) >= limit) == (now < limit)
    assert change is not None
    assert change.size == pytest.approx(abs(limit - now) / 500.0, abs=2.0 * step / 500.0)


def test_the_nearer_of_two_directions_is_told(revision: Revision) -> None:
    def worth(context: Context) -> float:
        months = context.features["tenure_months"]
        return 1.0 if months in (*range(290), *range(304, 601)) else -1.0  # from 300: 289 or 304

    change = found(revision, worth, "tenure_months", 300)
    assert change is not None
    assert (change.after, change.action) == (304, revision.action_ids[1])
    assert isinstance(change.after, int)


@pytest.mark.parametrize("limit", [14, 15, 16, 17])
def test_an_unknown_number_is_counted_from_the_middle_of_its_range(
    revision: Revision, limit: int
) -> None:
    def worth(context: Context) -> float:
        return 1.0 if context.features.get("roaming_days") in (0, limit, 31) else -1.0

    change = found(revision, worth, "roaming_days", None)
    assert change is not None
    assert (change.before, change.after, change.size) == (None, limit, 1.0)


def test_a_range_of_one_number_leaves_nothing_but_that() -> None:
    def worth(context: Context) -> float:
        return 1.0 if context.features.get("level") == 3.0 else -1.0

    bare = plain('{"level": {"type": "number", "min": 3, "max": 3}}')
    assert number(found(bare, worth, "level", None)) == 3.0
    assert found(bare, worth, "level", 3.0) is None


def test_a_number_without_a_range_is_searched_far_out() -> None:
    def worth(context: Context) -> float:
        balance = context.features["balance"]
        return 1.0 if isinstance(balance, float) and balance >= 54_321.0 else -1.0

    free = plain('{"balance": {"type": "number"}}')
    change = found(free, worth, "balance", 2.0)
    assert 54_321.0 <= number(change) <= 54_321.0 + 1e-3


def plain(customer: str) -> Revision:
    """Return a revision with a customer schema, one offer and no rules."""
    workspace = (
        '{"workspace": "w", "currency": "EUR", "zone": "UTC", "channels": {"sms": {}},'
        f' "customer": {customer}}}'
    )
    agent = """{"agent": "a", "outcomes": {"bought": {"value": 1, "window": "1d"}}, "offers": {"o":
        {"kind": "service", "variants": {"v": {"text": "hello"}}, "channels": ["sms"]}}}"""
    return Revision(Workspace.model_validate_json(workspace), Agent.model_validate_json(agent))


def test_an_instant_is_moved_to_the_hour() -> None:
    limit = AT - timedelta(days=30)

    def worth(context: Context) -> float:
        when = context.features["last_purchase"]
        assert isinstance(when, datetime)
        return 1.0 if when >= limit else -1.0

    bare = plain('{"last_purchase": {"type": "instant"}}')
    change = found(bare, worth, "last_purchase", "2025-11-11T11:11:11Z")
    assert change is not None
    assert change.after == limit


def test_one_member_of_a_set_is_added_or_taken_out() -> None:
    bare = plain('{"interests": {"type": "set", "values": ["sport", "music", "travel"]}}')

    def wants(context: Context) -> float:
        held = context.features["interests"]
        assert isinstance(held, tuple)
        return 1.0 if "travel" in held else -1.0

    added = found(bare, wants, "interests", ["sport"])
    assert added is not None
    assert added.after == ("sport", "travel")
    assert added.size == pytest.approx(1.0 / 3.0)
    taken = found(bare, wants, "interests", ["sport", "travel"])
    assert taken is not None
    assert (taken.after, taken.action) == (("sport",), "none")


def test_guardrails_are_asked_again(revision: Revision) -> None:
    context = revision.context("ann", AT, {"open_complaint": True, "roaming_days": 3,
        "consent_sms": False, "consent_push": True, "time_zone": "Europe/Berlin"})  # fmt: skip
    mask = revision.mask(context)
    assert mask.all_barred
    policy = HybridThompson.create(revision)
    policy.update(sample_lessons(revision, 400, np.random.default_rng(1)))
    told = {change.field: change for change in changes(revision, policy, context, mask)}
    if "open_complaint" in told:
        assert told["open_complaint"].after is False
        assert told["open_complaint"].action.startswith("roaming_pass/")
    assert "consent_sms" not in told  # another guardrail still bars what it would allow


def test_what_others_barred_stays_barred() -> None:
    given = Mask(("budget: used up", None, None, "consent: unknown"))
    before = Mask((None, None, "age: too young", "consent: unknown"))
    after = Mask((None, "stock: none", None, None))
    assert _carried(given, before, after).reasons == ("budget: used up", "stock: none", None, None)


def test_zones_texts_and_the_field_of_groups_are_left_alone(revision: Revision) -> None:
    seen: set[str] = set()

    def worth(context: Context) -> float:
        seen.update(context.features)
        return -1.0

    assert found(revision, worth, "age", 30) is None
    assert {"age", "plan", "app_user", "consent_sms"} <= seen
    assert "time_zone" not in seen


def test_without_expected_rewards_or_actions_nothing_is_told(revision: Revision) -> None:
    context = revision.context("ann", AT, {})
    mask = revision.mask(context)
    assert changes(revision, Uniform.create(revision), context, mask) == ()
    barred = Mask(("no",) * len(revision.actions))
    assert best_action(HybridThompson.create(revision), context, barred) is None
