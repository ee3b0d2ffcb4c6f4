from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.context import Context
from agents.errors import SnapshotError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import CustomerField
from policies.base import Label, Lesson
from policies.beta import BetaThompson
from policies.samples import sample_contexts, sample_lessons
from policies.state import pack, unpack

WithSettings = Callable[[Mapping[str, object]], Revision]
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
K = 20.0


def customer(**features: str | bool) -> Context:
    return Context("ann", AT, features)


def teach(
    policy: BetaThompson, context: Context, action: int, happened: float, not_yet: float
) -> None:
    mask = Mask((None,) * len(policy._actions))
    labels = Label("renewed", True, happened), Label("renewed", False, not_yet)
    policy.update([Lesson(context, mask, action, 1.0, labels)])


def test_rates_are_shrunk_to_the_action_elsewhere_and_that_to_all_others(
    with_settings: WithSettings,
) -> None:
    policy = BetaThompson.create(with_settings({"segments": ("plan",)}))
    teach(policy, customer(plan="basic"), 1, 5, 45)
    teach(policy, customer(plan="plus"), 1, 2, 8)
    teach(policy, customer(plan="plus"), 2, 1, 99)
    a, b = policy.rates(policy._segment(customer(plan="plus")))
    others = (1 + K * 0.02) / (100 + K)
    rate = (5 + K * others) / (50 + K)
    assert a[1, 0] == pytest.approx(K * rate + 2)
    assert b[1, 0] == pytest.approx(K * (1 - rate) + 8)
    assert (a + b)[1, 0] == pytest.approx(K + 10)
    assert (a + b)[5, 0] == pytest.approx(K)


def test_without_segments_no_count_counts_twice(revision: Revision) -> None:
    policy = BetaThompson.create(revision)
    teach(policy, customer(), 1, 3, 7)
    a, b = policy.rates(0)
    assert a[1, 0] == pytest.approx(K * 0.02 + 3)
    assert b[1, 0] == pytest.approx(K * 0.98 + 7)
    assert a[2, 0] == pytest.approx(K * (3 + K * 0.02) / (10 + K))


def test_segments_and_the_unknown(with_settings: WithSettings) -> None:
    policy = BetaThompson.create(with_settings({"segments": ("plan", "app_user")}))
    assert len(policy._segments) == 4 * 3
    named = policy._segments[policy._segment(customer(plan="plus", app_user=False))]
    assert named == ["plus", "false"]
    for odd in (customer(), customer(plan="gone", app_user="yes"), customer(plan=True)):
        assert policy._segments[policy._segment(odd)] == ["?", "?"]


def test_a_segment_decides_by_itself_and_a_mask_leaves_the_rest_to_compete(
    with_settings: WithSettings,
) -> None:
    policy = BetaThompson.create(with_settings({"segments": ("plan",)}))
    count = len(policy._actions)
    for plan, action in (("basic", 1), ("plus", 2)):
        for each in range(count):
            teach(policy, customer(plan=plan), each, 100 * (each == action), 900)
    everything = Mask((None,) * count)
    for plan, action in (("basic", 1), ("plus", 2)):
        answer = policy.distribution(customer(plan=plan), everything)
        assert answer.probabilities[action] > 0.9
        barred = Mask(tuple("no" if i == action else None for i in range(count)))
        other = policy.distribution(customer(plan=plan), barred)
        assert other.probabilities[action] == 0.0
        assert other.probabilities.max() < 0.9


def test_taking_back_leaves_the_same_bytes(with_settings: WithSettings) -> None:
    revision = with_settings({"segments": ("app_user",)})
    policy = BetaThompson.create(revision)
    policy.update(sample_lessons(revision, 50, np.random.default_rng(1)))
    before = policy.to_bytes()
    (lesson,) = sample_lessons(revision, 1, np.random.default_rng(8))
    for weight in (0.25, -0.25):
        policy.update([lesson.then(Label("renewed", happened=True, weight=weight))])
        assert (policy.to_bytes() == before) == (weight < 0.0)


def test_other_segments_are_added_up_or_unknown(with_settings: WithSettings) -> None:
    both = BetaThompson.create(with_settings({"segments": ("plan", "app_user")}))
    teach(both, customer(plan="plus", app_user=True), 1, 3, 5)
    teach(both, customer(plan="plus", app_user=False), 1, 1, 2)
    one = BetaThompson.from_bytes(both.to_bytes(), with_settings({"segments": ("plan",)}))
    plus = one._segment(customer(plan="plus"))
    assert (one._counts.happened[plus, 1, 0], one._counts.not_yet[plus, 1, 0]) == (4.0, 7.0)
    back = with_settings({"segments": ("open_complaint", "plan")})
    more = BetaThompson.from_bytes(one.to_bytes(), back)
    unknown = more._segment(customer(plan="plus"))
    assert more._counts.happened[unknown, 1, 0] == 4.0 == more._counts.happened.sum()


def test_a_value_that_is_no_more_becomes_unknown(with_settings: WithSettings) -> None:
    revision = with_settings({"segments": ("plan",)})
    policy = BetaThompson.create(revision)
    teach(policy, customer(plan="plus"), 1, 3, 5)
    schema = revision.workspace.customer | {
        "plan": CustomerField(type="category", values=("basic", "unlimited", "max"))
    }
    workspace = revision.workspace.model_copy(update={"customer": schema})
    offers = {
        name: offer.model_copy(update={"eligible": None})
        for name, offer in revision.agent.offers.items()
    }
    later = Revision(workspace, revision.agent.model_copy(update={"offers": offers}))
    again = BetaThompson.from_bytes(policy.to_bytes(), later)
    assert again._counts.happened[again._segment(customer()), 1, 0] == 3.0


def test_answers_are_worked_out_anew_after_a_lesson(revision: Revision) -> None:
    policy = BetaThompson.create(revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(0))
    mask = Mask((None,) * len(revision.actions))
    for action in range(len(revision.actions)):
        teach(policy, context, action, 0, 900)
    before = policy.distribution(context, mask)
    assert before.probabilities[3] < 0.1
    before.expected[:] = np.nan  # what is handed out is the caller's
    teach(policy, context, 3, 300, 0)
    after = policy.distribution(context, mask)
    assert after.probabilities[3] > 0.9
    assert np.isfinite(after.expected).all()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"segments": ("plann",)}, UnknownNameError,
         "0: 'plann' is no category or boolean customer field; did you mean 'plan'?"),
        ({"segments": ("plan", "consent_sms")}, UnknownNameError,
         "1: 'consent_sms' is no category or boolean customer field;"),
        ({"segments": ("plan", "monthly_bill")}, UnknownNameError,
         "1: 'monthly_bill' is no category or boolean customer field;"),
        ({"segments": ("plan", "plan")}, ValueError,
         "1: expected each of them once, got 'plan' twice"),
    ],
)  # fmt: skip
def test_refused(
    with_settings: WithSettings, settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        BetaThompson.create(with_settings(settings))
    assert str(caught.value).startswith(f"policy.settings.segments.{message}")


def test_too_many_segments(revision: Revision) -> None:
    wide = CustomerField(type="category", values=tuple(f"v{i}" for i in range(99)))
    schema = revision.workspace.customer | {"town": wide, "street": wide}
    policy = revision.agent.policy.model_copy(update={"settings": {"segments": ("town", "street")}})
    large = Revision(
        revision.workspace.model_copy(update={"customer": schema}),
        revision.agent.model_copy(update={"policy": policy}),
    )
    with pytest.raises(ValueError, match="take fewer fields") as caught:
        BetaThompson.create(large)
    assert str(caught.value) == (
        "policy.settings.segments: beta_thompson counts 10,000 segments x 25 actions x 4 outcomes,"
        " 1,000,000 in all, and at most 300,000 are accepted; take fewer fields, or use"
        " hybrid_thompson"
    )


def test_damaged_states_are_refused(revision: Revision) -> None:
    facts, arrays = unpack("beta_thompson", BetaThompson.create(revision).to_bytes())
    for broken in ({"fields": ["plan"]}, {"segments": None}, {"actions": None}):
        state = pack("beta_thompson", facts | broken, arrays)
        with pytest.raises(SnapshotError, match="the state of beta_thompson lacks a part"):
            BetaThompson.from_bytes(state, revision)
