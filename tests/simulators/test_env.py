from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import simulators  # noqa: F401 - registers the environments
from agents.errors import StateError
from agents.revision import Revision
from agents.spec import CustomerField
from simulators.env import CustomerEnv, Observation
from simulators.wrappers import FlattenMarket


def play(env: CustomerEnv, seed: int, *, masked: bool = True) -> list[tuple[Observation, float]]:
    observation, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    steps, over = [(observation, 0.0)], False
    while not over:
        action = env.action_space.sample(info["action_mask"] if masked else None)
        observation, reward, over, truncated, info = env.step(action)
        assert not truncated
        steps.append((observation, reward))
    return steps


@pytest.mark.parametrize("name", [name for name in gymnasium.registry if "nextbest/" in name])
def test_a_registered_environment_passes_gymnasiums_checker(name: str) -> None:
    env = gymnasium.make(name)
    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_a_flattened_market_passes_gymnasiums_checker() -> None:
    check_env(FlattenMarket(CustomerEnv("telecom")), skip_render_check=True)


def test_gymnasiums_own_flattening_fits_as_well() -> None:
    env = gymnasium.wrappers.FlattenObservation(gymnasium.make("nextbest/Telecom-v0"))
    observation, _ = env.reset(seed=3)
    assert env.observation_space.contains(observation)


def test_only_a_customer_can_be_flattened() -> None:
    other = gymnasium.make("CartPole-v1")
    with pytest.raises(ValueError, match=r"^expected a CustomerEnv, got CartPoleEnv$"):
        FlattenMarket(cast("gymnasium.Env[Observation, np.int64]", other))


def test_a_market_of_several_customers_brings_them_in_turn() -> None:
    several = CustomerEnv("telecom", customers=3, rounds=2)
    bills = [play(several, seed=5)[0][0]["customer"]["monthly_bill"][0]]
    bills += [several.reset()[0]["customer"]["monthly_bill"][0] for _ in range(4)]
    assert len(set(bills)) == 5
    again = [several.reset(seed=5)[0]["customer"]["monthly_bill"][0]]
    again += [several.reset()[0]["customer"]["monthly_bill"][0] for _ in range(4)]
    assert bills == again


def test_everybody_can_be_met_at_one_hour() -> None:
    env = CustomerEnv("telecom", hour=9, every=timedelta(days=1))
    hours = [float(observation["hour"][0]) for observation, _ in play(env, seed=6)]
    assert set(hours) == {9.0}


def test_without_guardrails_nothing_is_barred() -> None:
    env = CustomerEnv("telecom", guardrails=False)
    _, info = env.reset(seed=6)
    assert info["action_mask"].all()
    assert env.action_masks().all()
    assert env.reasons() == ("",) * 25
    *_, info = env.step(np.int64(24))
    assert info["barred"] == ""


def test_reasons_and_masks_speak_of_the_same_actions() -> None:
    env = CustomerEnv("telecom")
    _, info = env.reset(seed=6)
    assert [not reason for reason in env.reasons()] == env.action_masks().tolist()
    assert env.action_masks().tolist() == info["action_mask"].astype(bool).tolist()


def test_entries_of_unknown_fields_are_zero() -> None:
    env = CustomerEnv("telecom")
    layout = env.layout
    for seed in range(200):
        observation, _ = env.reset(seed=seed)
        vector = dict(zip(layout.names, layout.vector(observation).tolist(), strict=True))
        if not vector["data_used_share is known"]:
            assert vector["data_used_share"] == 0.0
            assert vector["plan=basic"] + vector["plan=plus"] + vector["plan=unlimited"] == 1.0
            return
    raise AssertionError("every customer's use of data is known")


def test_fields_of_every_type_fit_the_layout(rich: Revision) -> None:
    env = CustomerEnv("generic", rich)
    names = env.layout.names
    for seed in range(30):
        observation, _ = env.reset(seed=seed)
        vector = env.layout.vector(observation)
        assert env.layout.space.contains(vector), dict(zip(names, vector.tolist(), strict=True))


def test_an_edited_agent_passes_gymnasiums_checker(edited: Callable[[str, str], Revision]) -> None:
    other = edited("  loyalty_credit:", "  gift_box:")
    check_env(CustomerEnv(revision=other, rounds=3), skip_render_check=True)


def test_a_zone_is_no_observation_even_if_it_is_not_hidden(revision: Revision) -> None:
    customer = dict(revision.workspace.customer)
    customer["time_zone"] = CustomerField(type="zone")
    workspace = revision.workspace.model_copy(update={"customer": customer})
    space = CustomerEnv(revision=Revision(workspace, revision.agent)).observation_space
    assert isinstance(space, spaces.Dict)
    fields = space["customer"]
    assert isinstance(fields, spaces.Dict)
    assert "plan" in fields.spaces
    assert "time_zone" not in fields.spaces


def test_an_agent_without_anything_to_observe_is_refused(revision: Revision) -> None:
    hidden = CustomerField(type="boolean", feature=False)
    customer = dict.fromkeys(revision.workspace.customer, hidden)
    customer["time_zone"] = CustomerField(type="zone")
    workspace = revision.workspace.model_copy(update={"customer": customer, "guardrails": {}})
    offer = next(iter(revision.agent.offers.values())).model_copy(update={"eligible": None})
    agent = revision.agent.model_copy(update={"offers": {"news": offer}, "guardrails": {}})
    with pytest.raises(ValueError, match="expected a customer field that learners may see"):
        CustomerEnv(revision=Revision(workspace, agent))


def test_an_episode_is_one_customers_rounds() -> None:
    steps = play(CustomerEnv(rounds=5), seed=3)
    assert [int(observation["round"]) for observation, _ in steps] == list(range(6))
    tenures = [float(observation["customer"]["tenure_months"][0]) for observation, _ in steps]
    assert all(later - tenures[0] in (0.0, 1.0) for later in tenures)


def test_a_seed_fixes_the_customer_and_what_follows() -> None:
    first, second = (play(CustomerEnv(), seed=12) for _ in range(2))
    assert [reward for _, reward in first] == [reward for _, reward in second]
    assert str(first) == str(second)
    assert str(play(CustomerEnv(), seed=13)) != str(first)


def test_later_resets_bring_other_customers() -> None:
    env = CustomerEnv()
    bills = {float(env.reset(seed=4)[0]["customer"]["monthly_bill"][0])}
    bills |= {float(env.reset()[0]["customer"]["monthly_bill"][0]) for _ in range(5)}
    assert len(bills) == 6


def test_only_what_learners_may_see_is_observed(revision: Revision) -> None:
    space = CustomerEnv().observation_space
    assert isinstance(space, spaces.Dict)
    customer = space["customer"]
    assert isinstance(customer, spaces.Dict)
    fields = {name for name, field in revision.workspace.customer.items() if field.feature}
    assert set(customer.spaces) == fields
    assert "consent_email" not in fields


def test_the_mask_is_the_guardrails(revision: Revision) -> None:
    env = CustomerEnv()
    _, info = env.reset(seed=5)
    assert info["action_mask"].dtype == np.int8
    assert info["action_mask"].shape == info["expected_rewards"].shape == (len(revision.actions),)
    assert info["action_mask"][0] == 1
    assert info["barred"] == ""


def test_a_barred_action_becomes_none_and_says_why() -> None:
    env = CustomerEnv()
    for seed in range(20):
        _, info = env.reset(seed=seed)
        barred = int(np.flatnonzero(info["action_mask"] == 0)[0])
        observation, _, _, _, after = env.step(np.int64(barred))
        env.reset(seed=seed)
        silent, _, _, _, quiet = env.step(np.int64(0))
        assert after["barred"]
        assert ": " in after["barred"]
        assert quiet["barred"] == ""
        assert str(observation) == str(silent)
        assert int(observation["contacts_30d"]) == 0


def test_contacts_are_counted_and_bar_what_comes_too_soon() -> None:
    env = CustomerEnv()
    for seed in range(30):
        _, info = env.reset(seed=seed)
        allowed = np.flatnonzero(info["action_mask"])[1:]
        if len(allowed):
            observation, *_, info = env.step(np.int64(allowed[0]))
            assert int(observation["contacts_30d"]) == 1
            assert info["action_mask"][allowed[0]] == 0  # offer_pause: 14 days
            return
    raise AssertionError("no customer could be contacted")


def test_mean_reward_is_the_expected_one() -> None:
    env = CustomerEnv(rounds=2)
    differences = []
    for seed in range(500):
        _, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        for _ in range(2):
            action = env.action_space.sample(info["action_mask"])
            due = info["expected_rewards"][action]
            _, reward, _, _, info = env.step(action)
            differences.append(reward - due)
    error = np.std(differences) / np.sqrt(len(differences))
    assert abs(np.mean(differences)) < 4.0 * error


def test_unknown_values_show_as_unknown() -> None:
    env = CustomerEnv()
    place = sorted(env.reset(seed=0)[0]["customer"]).index("data_used_share")
    seen = [env.reset(seed=seed)[0] for seed in range(300)]
    known = np.array([observation["known"][place] for observation in seen])
    assert abs((known == 0).mean() - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / 300)
    unknown = next(o for o, k in zip(seen, known, strict=True) if not k)
    assert float(unknown["customer"]["data_used_share"][0]) == 0.0


def test_a_field_without_range_is_observed_in_the_widest(revision: Revision) -> None:
    fields = {**revision.workspace.customer, "tenure_months": CustomerField(type="integer")}
    workspace = revision.workspace.model_copy(update={"customer": fields})
    env = CustomerEnv(revision=Revision(workspace, revision.agent))
    observation, _ = env.reset(seed=1)
    assert observation in env.observation_space


def test_steps_outside_an_episode_are_refused() -> None:
    env = CustomerEnv(rounds=1)
    message = r"^expected reset\(\) before step\(\): no episode is under way$"
    with pytest.raises(StateError, match=message):
        env.step(np.int64(0))
    env.reset(seed=1)
    env.step(np.int64(0))
    with pytest.raises(StateError, match=message):
        env.step(np.int64(0))


def test_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^expected no options, got customer$"):
        CustomerEnv().reset(options={"customer": 3})
