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
from policies.base import Lesson
from policies.checks import later_revision
from policies.hybrid import HybridThompson
from policies.samples import sample_contexts, sample_lessons
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
        policy.update([Lesson(context, mask, action, float(p[action]))])
        if rng.random() < chance(context, revision.actions[action]):
            policy.update([Lesson(context, mask, action, float(p[action]), "renewed")])
    first, last = np.mean(captured[:200]), np.mean(captured[-500:])
    assert last > 0.5
    assert last > first


def test_untaught_it_prefers_no_offer_but_for_the_costs(revision: Revision) -> None:
    (context,) = sample_contexts(revision, 1, np.random.default_rng(0))
    answer = HybridThompson.create(revision).distribution(context, everything(revision))
    costs = np.array([action.cost for action in revision.actions])
    values = sum(o.worth for o in revision.agent.outcomes.values())
    assert answer.expected == pytest.approx(0.02 * values - costs)
    assert answer.probabilities.min() > 0.001
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
    policy.update([Lesson(context, mask, action, 0.5, "complained")])
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
        policy.update([Lesson(context, mask, 0, 1.0)])
        if happened:
            policy.update([Lesson(context, mask, 0, 1.0, "renewed")])
    eta, _ = policy._posterior.predict(policy._levels[:1], policy._z(context))
    learned = 1 / (1 + np.exp(-eta[0, 0]))
    biased = rate / (1 + rate)
    assert abs(learned - biased) < 4 * np.sqrt(biased * (1 - biased) / count)


def test_the_mask_comes_before_the_integral(revision: Revision) -> None:
    """Thompson sampling over the allowed is not the unmasked answer, renormalised."""
    rng, policy = np.random.default_rng(8), taught(revision, 20)
    (context,) = sample_contexts(revision, 1, rng)
    mask = Mask(tuple("barred" if i % 3 else None for i in range(len(revision.actions))))
    p = policy.distribution(context, mask).probabilities
    unmasked = policy.distribution(context, everything(revision)).probabilities * mask.allowed
    mean, variance = policy._posterior.predict(policy._levels, policy._z(context))
    values = np.array([o.value for o in revision.agent.outcomes.values()])
    costs = np.where(mask.allowed, [a.cost for a in revision.actions], np.inf)  # (A,)
    eta = mean + 0.5 * np.sqrt(variance) * rng.normal(size=(100_000, *mean.shape))  # (n, O, A)
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
        ({"base_rate": 1.0}, ValueError, "from 1e-06 to 0.5, got 1"),
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
    bad = Lesson(good.context, good.mask, good.action, good.propensity, "renewd")
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


@pytest.mark.parametrize("what", ["nan", "shape", "type", "lacks"])
def test_damaged_states_are_refused(revision: Revision, what: str) -> None:
    facts, arrays = unpack("hybrid_thompson", taught(revision, 5).to_bytes())
    match what:
        case "nan":
            arrays["mean"] = np.full_like(arrays["mean"], np.nan)
        case "shape":
            arrays["variance"] = arrays["variance"][:, :-1]
        case "type":
            arrays["mean"] = arrays["mean"].astype(np.float32)
        case _:
            del facts["levels"]
    with pytest.raises(SnapshotError, match="expected finite float64 weights|lacks a part"):
        HybridThompson.from_bytes(pack("hybrid_thompson", facts, arrays), revision)
