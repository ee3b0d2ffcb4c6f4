from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import agents
import simulators  # noqa: F401 - registers the environments
from agents.errors import StateError
from agents.load import compile_agent
from agents.revision import Revision
from agents.spec import CustomerEvent
from simulators.env import CustomerEnv
from simulators.vector import PopulationEnv
from simulators.wrappers import FlattenMarket

CUSTOMERS, ROUNDS = 40, 5
EXAMPLE = Path(agents.__file__).parent / "examples" / "telecom"

Step = tuple[NDArray[Any], ...]  # observations, masks, reasons, rewards, barred; (N, ...) each


def choices(masks: NDArray[np.int8], step: int) -> NDArray[np.int64]:
    """Take an allowed action for two customers of three, and any for the third."""
    generator = np.random.default_rng(step)
    luck = generator.random(masks.shape)
    wild = np.arange(len(masks)) % 3 == 2
    return np.asarray(np.argmax(np.where(wild[:, None] | (masks == 1), luck, -1.0), axis=1))


def of_population(world: str = "telecom", **options: Any) -> list[Step]:
    env = PopulationEnv(CUSTOMERS, world, rounds=ROUNDS, **options)
    observations, infos = env.reset(seed=8)
    rewards = np.zeros(CUSTOMERS)
    steps: list[Step] = []
    for step in range(ROUNDS + 1):
        mask, barred = infos["action_mask"], infos["barred"]
        steps.append((observations, mask, env.reasons(), rewards, barred))
        observations, rewards, *_, infos = env.step(choices(mask, step))
    return steps


def of_customers(population: list[Step], world: str = "telecom", **options: Any) -> list[Step]:
    customer = CustomerEnv(world, rounds=ROUNDS, customers=CUSTOMERS, **options)
    env = FlattenMarket(customer)
    seen: list[list[tuple[Any, ...]]] = [[] for _ in range(ROUNDS + 1)]
    for row in range(CUSTOMERS):
        observation, info = env.reset(seed=8 if row == 0 else None)
        reward = 0.0
        for step in range(ROUNDS + 1):
            mask, barred = info["action_mask"], info["barred"]
            seen[step].append((observation, mask, customer.reasons(), reward, barred))
            if step < ROUNDS:
                action = choices(population[step][1], step)[row]
                observation, earned, *_, info = env.step(action)
                reward = float(earned)
    return [tuple(np.array(part) for part in zip(*rows, strict=True)) for rows in seen]


def require_same(together: list[Step], alone: list[Step]) -> None:
    for step, (many, single) in enumerate(zip(together, alone, strict=True)):
        assert np.array_equal(many[0], single[0]), step
        assert np.array_equal(many[1], single[1]), step
        assert many[2].tolist() == single[2].tolist(), step
        assert np.allclose(many[3], single[3], rtol=0.0, atol=1e-9), step
        assert many[4].tolist() == single[4].tolist(), step


@pytest.mark.parametrize(
    "options",
    [{"hour": 12}, {"hour": None}, {"hour": 9, "guardrails": False}],
    ids=["at noon", "at their own times", "without guardrails"],
)
def test_a_population_is_so_many_customers(options: dict[str, Any]) -> None:
    together = of_population(**options)
    alone = of_customers(together, **options)
    require_same(together, alone)
    rewards = np.stack([step[3] for step in together])
    assert (rewards > 20.0).any()
    assert (rewards < -10.0).any()
    barred = [reason for step in together for reason in step[4]]
    assert any(barred) == options.get("guardrails", True)


MARKETS = [
    spec.kwargs["world"]
    for name, spec in gymnasium.registry.items()
    if "nextbest/" in name and spec.vector_entry_point is not None
]


@pytest.mark.parametrize("world", MARKETS)
def test_every_market_has_a_population(world: str) -> None:
    env = PopulationEnv(7, world, rounds=2, hour=12)
    observations, infos = env.reset(seed=3)
    for step in range(4):
        assert env.observation_space.contains(observations), step
        assert ((infos["action_mask"] == 1) == (env.reasons() == "")).all()
        observations, rewards, *_, infos = env.step(choices(infos["action_mask"], step))
        assert np.isfinite(rewards).all()


@pytest.mark.parametrize("world", MARKETS)
def test_a_population_of_one_is_one_customer_in_every_market(world: str) -> None:
    population = PopulationEnv(1, world, rounds=8, hour=12)
    customer = CustomerEnv(world, rounds=8, hour=12)
    alone = FlattenMarket(customer)
    for seed in range(2):
        (observations, infos), (observation, info) = (
            population.reset(seed=seed),
            alone.reset(seed=seed),
        )
        for step in range(8):
            assert np.array_equal(observations[0], observation), (seed, step)
            assert tuple(population.reasons()[0]) == customer.reasons(), (seed, step)
            chosen = choices(infos["action_mask"] | (step % 3 == 2), step)
            observations, rewards, *_, infos = population.step(chosen)
            observation, reward, *_, info = alone.step(chosen[0])
            assert abs(rewards[0] - float(reward)) < 1e-9, (seed, step)
            assert infos["barred"][0] == info["barred"], (seed, step)


MANY_RULES = """guardrails:
  no_more: {rule: frequency_cap, max: 1, per: 30d, counts: delivery, scope: kind}
  new_customers: {rule: suppression, when: customer.tenure_months < 1}
  offer_pause: {rule: cooldown, pause: 14d, scope: offer}
  after_complaint: {rule: cooldown, after: [complained], pause: 14d, scope: all}
  renewed_already: {rule: event_suppression, after: [renewed], scope: offer, for: 60d}
  channel_limit: {rule: frequency_cap, max: 2, per: 14d, scope: channel}
  answered: {rule: frequency_cap, max: 1, per: 30d, counts: response, scope: agent}
  email_first: {rule: escalation, from: email, to: sms, unless: [renewed], wait: 24h, within: 14d}
  service_first: {rule: precedence, order: [service, retention, education, promotion]}
"""


@pytest.fixture(scope="module")
def strict(revision: Revision) -> Revision:
    """An agent whose rules look at contacts, at failures, and at events."""
    events = {
        "bounced": CustomerEvent(counts_as="failure"),
        "opened": CustomerEvent(counts_as="response"),
    }
    workspace = revision.workspace.model_copy(update={"events": events})
    text = (EXAMPLE / "agents" / "retention.yaml").read_text(encoding="utf-8")
    start, end = text.index("guardrails:"), text.index("policy:")
    return compile_agent(f"{text[:start]}{MANY_RULES}\n{text[end:]}", "strict.yaml", workspace)


def test_rules_about_events_bar_the_same_in_a_population(strict: Revision) -> None:
    options: dict[str, Any] = {"hour": 12, "revision": strict, "every": timedelta(days=2)}
    together = of_population(**options)
    alone = of_customers(together, **options)
    require_same(together, alone)
    rules = {reason.split(":")[0] for step in together for reason in step[2].ravel()}
    assert {"after_complaint", "no_more", "answered", "email_first", "service_first"} <= rules


@pytest.fixture(scope="module")
def thrifty(edited: Callable[[str, str], Revision]) -> Revision:
    """An agent with seven SMS a week, and a budget for its credit."""
    rules = """guardrails:
  few_sms:
    {rule: frequency_cap, max: 7, per: week, window: calendar, for: total, on: {channels: [sms]}}
  credit: {rule: budget, measure: cost, max: 9, per: month, on: {kinds: [retention]}}
"""
    return edited("guardrails:\n", rules)


def test_no_budget_is_exceeded_by_those_who_act_together(thrifty: Revision) -> None:
    env = PopulationEnv(300, revision=thrifty, rounds=4, hour=12)
    _, infos = env.reset(seed=2)
    sms = np.array([action.channel == "sms" for action in thrifty.actions])
    costs = np.array([a.cost * (a.kind == "retention") for a in thrifty.actions])
    spent, late = 0.0, set()
    for _ in range(4):
        allowed = infos["action_mask"] == 1
        chosen = np.argmax(np.where(allowed, 1 + sms + 2 * (costs > 0), 0), axis=1)
        *_, infos = env.step(chosen)
        done = np.where(infos["barred"] == "", chosen, 0)
        late |= {reason.split(":")[0] for reason in infos["barred"] if reason}
        assert np.count_nonzero(sms[done]) <= 7
        spent += costs[done].sum()
    assert 0.0 < spent <= 9.0
    assert late == {"few_sms", "credit"}


def test_one_customer_alone_uses_budgets_as_in_a_population(thrifty: Revision) -> None:
    population = PopulationEnv(1, revision=thrifty, rounds=8, hour=12)
    alone = CustomerEnv("telecom", thrifty, rounds=8, hour=12)
    for seed in range(6):
        infos, info = population.reset(seed=seed)[1], alone.reset(seed=seed)[1]
        for step in range(8):
            assert infos["action_mask"][0].tolist() == info["action_mask"].tolist(), (seed, step)
            chosen = choices(infos["action_mask"], step)
            infos, info = population.step(chosen)[4], alone.step(chosen[0])[4]


def test_gymnasium_makes_a_population() -> None:
    env = gymnasium.make_vec("nextbest/Telecom-v0", num_envs=6, rounds=2)
    assert isinstance(env.unwrapped, PopulationEnv)
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    observations, _ = env.reset(seed=4)
    assert env.observation_space.contains(observations)
    assert env.action_space.contains(env.action_space.sample())


def test_episodes_end_together_and_new_customers_come() -> None:
    env = PopulationEnv(30, rounds=2, hour=12)
    first, _ = env.reset(seed=4)
    nothing = np.zeros(30, dtype=np.int64)
    *_, over, cut, _ = env.step(nothing)
    assert not over.any()
    *_, over, cut, _ = env.step(nothing)
    assert over.all()
    assert not cut.any()
    others, rewards, over, _, infos = env.step(nothing + 1)  # what is done now is of no matter
    assert not over.any()
    assert not rewards.any()
    assert set(infos["barred"]) == {""}
    assert env.observation_space.contains(others)
    assert not np.array_equal(first, others)
    assert others[:, -1].tolist() == [0.0] * 30
    assert np.array_equal(env.reset(seed=4)[0], first)


def test_masks_and_truth_are_those_of_the_market() -> None:
    env = PopulationEnv(50, truth=True)
    _, infos = env.reset(seed=4)
    assert np.array_equal(env.action_masks(), infos["action_mask"] == 1)
    assert infos["expected_rewards"].shape == (50, 25)
    single = CustomerEnv("telecom", customers=50, hour=None)
    _, info = single.reset(seed=4)
    assert np.allclose(infos["expected_rewards"][0], info["expected_rewards"], atol=1e-12)


def test_what_cannot_be_done_is_refused() -> None:
    env = PopulationEnv(3, hour=12)
    with pytest.raises(StateError, match=r"^expected reset\(\) before step\(\)"):
        env.step(np.zeros(3, dtype=np.int64))
    env.reset(seed=1)
    with pytest.raises(ValueError, match=r"expected 3 whole numbers, got int64 of shape \(2,\)"):
        env.step(np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"expected 3 whole numbers, got float64"):
        env.step(np.zeros(3).astype(np.float64))
    with pytest.raises(ValueError, match=r"^actions: expected 0 to 24, got 0 to 25$"):
        env.step(np.array([0, 25, 1]))
    with pytest.raises(ValueError, match=r"^expected no options, got customer$"):
        env.reset(options={"customer": 3})
    with pytest.raises(ValueError, match=r"'retention' is no market of arrays; use CustomerEnv"):
        PopulationEnv(3, "retention").reset()
    with pytest.raises(ValueError, match=r"^hour: expected 0 to 23, or None, got 24$"):
        PopulationEnv(3, hour=24)
