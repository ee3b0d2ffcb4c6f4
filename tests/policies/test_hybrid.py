from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.actions import Action
from agents.context import Context
from agents.errors import SnapshotError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Label, Lesson
from policies.checks import later_revision
from policies.hybrid import HybridThompson
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.state import pack, unpack

WithSettings = Callable[[Mapping[str, float]], Revision]


def everything(revision: Revision) -> Mask:
    return Mask((None,) * len(revision.actions))


def taught(revision: Revision, count: int = 200) -> HybridThompson:
    policy = HybridThompson.create(revision)
    policy.update(sample_lessons(revision, count, np.random.default_rng(0)))
    return policy


def chance(context: Context, action: Action) -> float:
    """The truth of a tiny market: one offer suits each plan, and e-mail is read more."""
    suits = {"basic": "bigger_plan", "plus": "loyalty_credit", "unlimited": "bill_explained"}
    base = 0.05 + 0.25 * (suits[str(context.features["plan"])] == action.offer)
    return base + 0.1 * (action.channel == "email")


def truth(context: Context, revision: Revision) -> NDArray[np.float64]:
    value = revision.agent.outcomes["renewed"].worth
    return np.array([value * chance(context, a) - a.cost for a in revision.actions])  # (A,)


def complete_contexts(revision: Revision, count: int, rng: np.random.Generator) -> list[Context]:
    return [c for c in sample_contexts(revision, count, rng) if "plan" in c.features]


def test_learns_a_tiny_market_and_beats_uniform(revision: Revision) -> None:
    rng, policy = np.random.default_rng(11), HybridThompson.create(revision)
    mask = everything(revision)
    captured = []
    for context in complete_contexts(revision, 2_400, rng):
        p = policy.distribution(context, mask).probabilities
        values = truth(context, revision)
        captured.append((p @ values - values.mean()) / (values.max() - values.mean()))
        action = int(rng.choice(len(p), p=p))
        lesson = Lesson.decision(context, mask, action, float(p[action]), revision.agent.outcomes)
        policy.update([lesson])
        if rng.random() < chance(context, revision.actions[action]):
            policy.update([lesson.then(Label("renewed", happened=True))])
    first, last = np.mean(captured[:200]), np.mean(captured[-500:])
    assert last > 0.5
    assert last > first


def test_untaught_it_prefers_no_offer_but_for_the_costs(revision: Revision) -> None:
    (context,) = sample_contexts(revision, 1, np.random.default_rng(0))
    answer = HybridThompson.create(revision).distribution(context, everything(revision))
    costs = np.array([action.cost for action in revision.actions])
    values = sum(o.worth for o in revision.agent.outcomes.values())
    assert answer.expected == pytest.approx(0.02 * values - costs)
    for action in ("bill_explained/plain@sms", "bill_explained/tips@sms"):  # alike in all but name
        assert answer.probabilities[revision.index(action)] > 0.001
    assert answer.probabilities.max() < 0.2


def test_expected_is_value_times_probability_less_cost(revision: Revision) -> None:
    policy = taught(revision)
    outcomes = {
        name: outcome.model_copy(update={"value": -2.0 * outcome.worth})
        for name, outcome in revision.agent.outcomes.items()
    }
    agent = revision.agent.model_copy(update={"outcomes": outcomes})
    other = Revision(revision.workspace, agent)
    again = HybridThompson.from_bytes(
        policy.to_bytes(), other
    )  # values change, nothing is relearned
    (context,) = sample_contexts(revision, 1, np.random.default_rng(0))
    costs = np.array([action.cost for action in revision.actions])
    mine = policy.distribution(context, everything(revision)).expected + costs
    theirs = again.distribution(context, everything(revision)).expected + costs
    assert theirs == pytest.approx(-2.0 * mine)


def test_one_positive_raises_its_outcome_only(revision: Revision) -> None:
    policy = HybridThompson.create(revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(0))
    mask, action = everything(revision), revision.index("bill_explained/plain@sms")
    before = policy.distribution(context, mask).expected
    policy.update([Lesson(context, mask, action, 0.5, (Label("complained", happened=True),))])
    after = policy.distribution(context, mask).expected
    assert after[action] < before[action]  # harm became likelier
    fall = before - after
    assert fall[action] == fall.max()
    assert fall[revision.index("bill_explained/tips@sms")] > fall[revision.index("none")]


def test_negative_now_positive_later_settles_at_the_stated_rate(revision: Revision) -> None:
    rng, policy = np.random.default_rng(4), HybridThompson.create(revision)
    mask = everything(revision)
    context = Context("ann", sample_contexts(revision, 1, rng)[0].at, {})
    rate, count = 0.2, 4_000
    for happened in rng.random(count) < rate:
        policy.update([Lesson.decision(context, mask, 0, 1.0, revision.agent.outcomes)])
        if happened:
            policy.update([Lesson(context, mask, 0, 1.0, (Label("renewed", happened=True),))])
    learned = 1 / (1 + np.exp(-policy.beliefs(context).mean[0, 0]))
    biased = rate / (1 + rate)
    assert abs(learned - biased) < 4 * np.sqrt(biased * (1 - biased) / count)


def test_the_mask_comes_before_the_integral(revision: Revision) -> None:
    """Thompson sampling over the allowed is not the unmasked answer, renormalised."""
    rng, policy = np.random.default_rng(8), taught(revision, 20)
    (context,) = sample_contexts(revision, 1, rng)
    mask = Mask(tuple("barred" if i % 3 else None for i in range(len(revision.actions))))
    p = policy.distribution(context, mask).probabilities
    unmasked = policy.distribution(context, everything(revision)).probabilities * mask.allowed
    believed = policy.beliefs(context)
    values = np.array([o.value for o in revision.agent.outcomes.values()])
    costs = np.where(mask.allowed, [a.cost for a in revision.actions], np.inf)  # (A,)
    drawn = 0.5 * np.sign(values)[:, None] + 0.1 * rng.normal(size=(100_000, *believed.sd.shape))
    eta = believed.mean + drawn * believed.sd  # (n, O, A)
    utility = (values[:, None] / (1 + np.exp(-eta))).sum(axis=1) - costs  # (n, A)
    shares = np.bincount(utility.argmax(axis=1), minlength=len(p)) / 100_000
    assert 0.5 * np.abs(p - shares).sum() < 0.012
    assert 0.5 * np.abs(unmasked / unmasked.sum() - shares).sum() > 0.024


def test_alpha_is_how_much_it_explores(with_settings: WithSettings) -> None:
    spread = []
    for alpha in (0.0, 0.25, 1.0):
        revision = with_settings({"alpha": alpha})
        policy = taught(revision)
        (context,) = sample_contexts(revision, 1, np.random.default_rng(5))
        answer = policy.distribution(context, everything(revision))
        spread.append(float(answer.probabilities.max()))
        if alpha == 0.0:
            assert answer.probabilities.argmax() == answer.expected.argmax()
    assert spread[0] == pytest.approx(1.0, abs=1e-9)
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"alhpa": 1.0}, UnknownNameError, "did you mean 'alpha'"),
        ({"tau": 0.0}, ValueError, "from 0.01 to 5, got 0"),
        ({"alpha": -0.1}, ValueError, "from 0 to 5, got -0.1"),
        ({"base_rate": 1.0}, ValueError, "from 0.000001 to 0.5, got 1"),
        ({"grid": 63.0}, ValueError, "from 64 to 512, got 63"),
        ({"grid": 99.5}, ValueError, "a whole number"),
    ],
)
def test_settings(
    with_settings: WithSettings, settings: dict[str, float], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        HybridThompson.create(with_settings(settings))


@pytest.mark.parametrize("settings", [{"grid": 65.0}, {"grid": 512.0}, {"tau": 5.0, "alpha": 5.0}])
def test_extreme_settings_answer(with_settings: WithSettings, settings: dict[str, float]) -> None:
    revision = with_settings(settings)
    policy = taught(revision)
    for context in sample_contexts(revision, 10, np.random.default_rng(6)):
        answer = policy.distribution(context, everything(revision))
        assert answer.probabilities.sum() == pytest.approx(1.0, abs=1e-12)


def test_an_unknown_outcome_teaches_nothing(revision: Revision) -> None:
    policy = taught(revision)
    before = policy.to_bytes()
    good = sample_lessons(revision, 1, np.random.default_rng(0))[0]
    bad = Lesson(
        good.context, good.mask, good.action, good.propensity, (Label("renewd", happened=True),)
    )
    with pytest.raises(UnknownNameError, match="did you mean 'renewed'"):
        policy.update([good, bad])
    assert policy.to_bytes() == before


def test_a_later_revision_keeps_what_it_shares(revision: Revision) -> None:
    policy, later = taught(revision), later_revision(revision)
    restored = HybridThompson.from_bytes(policy.to_bytes(), later)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(7))
    old = policy.distribution(context, everything(revision)).expected
    new = restored.distribution(context, everything(later)).expected
    kept = [a.id for a in later.actions if a.offer != "newcomer"]
    assert [new[later.index(i)] for i in kept] == [old[revision.index(i)] for i in kept]
    fresh = HybridThompson.create(later).distribution(context, everything(later)).expected
    newcomer = later.index("newcomer/plain@email#morning")
    assert new[newcomer] != fresh[newcomer]  # it inherits its channel and window


def only(revision: Revision, outcome: str) -> Revision:
    outcomes = {outcome: revision.agent.outcomes[outcome]}
    return Revision(revision.workspace, revision.agent.model_copy(update={"outcomes": outcomes}))


@pytest.mark.parametrize("why", ["one outcome", "shared: 0"])
def test_what_outcomes_shared_stays_believed_when_nothing_is_shared(
    revision: Revision, with_settings: WithSettings, why: str
) -> None:
    policy = taught(revision)
    later = only(revision, "renewed") if why == "one outcome" else with_settings({"shared": 0.0})
    restored = HybridThompson.from_bytes(policy.to_bytes(), later)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(5))
    before, after = policy.beliefs(context), restored.beliefs(context)
    count = len(later.agent.outcomes)
    assert np.allclose(after.mean, before.mean[:count], atol=1e-12)
    assert np.allclose(after.sd, before.sd[:count], atol=1e-12)
    restored.update([Lesson(context, everything(later), 0, 0.5, (Label("renewed", False, 1e-9),))])
    # Nothing to speak of was learned, so no belief may have become surer.
    assert np.allclose(restored.beliefs(context).sd, after.sd, rtol=1e-6)


@pytest.mark.parametrize("what", ["nan", "shape", "type", "lacks", "day", "numbers"])
def test_damaged_states_are_refused(revision: Revision, what: str) -> None:
    facts, arrays = unpack("hybrid_thompson", taught(revision, 5).to_bytes())
    match what:
        case "nan":
            arrays["mean"] = np.full_like(arrays["mean"], np.nan)
        case "shape":
            arrays["variance"] = arrays["variance"][:, :-1]
        case "day":
            facts["day"] = "yesterday"
        case "numbers":
            facts["numbers"] = facts["numbers"][:-1]
        case "type":
            arrays["mean"] = arrays["mean"].astype(np.float32)
        case _:
            del facts["levels"]
    with pytest.raises(SnapshotError, match="expected finite float64 numbers|lacks a part"):
        HybridThompson.from_bytes(pack("hybrid_thompson", facts, arrays), revision)


def test_joint_draws_are_repeated_and_agree_with_their_marginals(
    with_settings: WithSettings,
) -> None:
    """Where nothing is shared, joint draws estimate what quadrature computes."""
    joint = taught(with_settings({"draws": 1_000, "alpha": 0.5}))
    exact = taught(with_settings({"alpha": 0.5}))
    (context,) = sample_contexts(with_settings({}), 1, np.random.default_rng(2))
    actions = ("none", "bill_explained/plain@sms", "loyalty_credit/thank_you@push")
    ids = [action.id for action in with_settings({}).actions]
    mask = Mask(tuple(None if name in actions else "barred" for name in ids))
    first, again = (joint.distribution(context, mask).probabilities for _ in range(2))
    assert np.array_equal(first, again)
    expected = exact.distribution(context, mask).probabilities
    assert np.abs(first - expected).max() < 4 * 0.5 / np.sqrt(1_000)  # four standard errors
    assert not first[~mask.allowed].any()


def test_actions_of_one_offer_rise_and_fall_together(with_settings: WithSettings) -> None:
    """Between two offers of several actions each, joint draws are less sure than marginals."""
    settings = {"alpha": 2.0, "optimism": 0.0}
    joint = taught(with_settings({**settings, "draws": 1_000}))
    exact = taught(with_settings(settings))
    revision = with_settings({})
    mask = everything(revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(2))
    difference = joint.distribution(context, mask).probabilities
    difference = difference - exact.distribution(context, mask).probabilities
    assert 0.5 * np.abs(difference).sum() > 0.02


def test_joint_draws_of_a_table_are_those_of_its_rows(with_settings: WithSettings) -> None:
    policy = taught(with_settings({"draws": 64}))
    rng = np.random.default_rng(3)
    contexts = sample_contexts(with_settings({}), 5, rng)
    masks = [sample_mask(with_settings({}), rng) for _ in contexts]
    x = np.stack([policy.encoder.encode(context) for context in contexts])
    found, _ = policy.answers(x, np.stack([mask.allowed for mask in masks]))
    for row, context, mask in zip(found, contexts, masks, strict=True):
        assert np.array_equal(row, policy.distribution(context, mask).probabilities)
