from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from agents.memory import Memory
from agents.revision import Revision

Do = Callable[..., str]
Ask = Callable[..., dict[str, str]]
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
RULE = "{one_voice: {rule: exclusive, agents: [helper, seller], for: 2d}}"
WINDOWS = """
  email: {windows: {late: {from: "18:00", to: "22:00"}}}
  sms: {cost: 0.5}"""


@pytest.fixture
def agents(build: Callable[..., Revision]) -> dict[str, Revision]:
    """Two agents that exclude each other, and one that is not listed."""
    workspace = {"guardrails": RULE, "channels": WINDOWS}
    return {name: build(workspace, agent=name) for name in ("helper", "seller", "other")}


@pytest.mark.parametrize(
    ("age", "free"), [(timedelta(0), False), (2 * DAY - TICK, False), (2 * DAY, True)]
)
def test_the_first_to_speak_keeps_the_customer_for_a_span(
    agents: dict[str, Revision], send: Do, barred: Ask, noon: datetime, age: timedelta, free: bool
) -> None:
    memory = Memory()
    send(memory, agents["seller"], "sale/plain@sms", noon)
    found = barred(memory, agents["helper"], noon + age)
    assert ("help/short@sms" not in found) is free
    reasons = {reason for name, reason in found.items() if name.endswith("@sms")}
    assert reasons <= {"one_voice: seller has the customer for 2d"}
    assert barred(memory, agents["seller"], noon + age) == {}
    assert barred(memory, agents["other"], noon + age) == {}


def test_an_agent_that_is_not_listed_keeps_nobody(
    agents: dict[str, Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    memory = Memory()
    send(memory, agents["other"], "sale/plain@sms", noon)
    assert barred(memory, agents["helper"], noon) == {}
    assert [rule.name for rule in agents["other"].guardrails].count("one_voice") == 0


def test_a_contact_planned_ahead_keeps_the_customer_before_it(
    agents: dict[str, Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    memory = Memory()
    evening = noon.replace(hour=17)  # 18:00 in Berlin
    send(memory, agents["seller"], "help/short@email#late", noon)
    assert "help/short@sms" in barred(memory, agents["helper"], noon)
    assert barred(memory, agents["helper"], evening - 2 * DAY + TICK).keys() >= {"help/short@sms"}
    # Two days before, an SMS is free again, and so is that day's evening.
    assert barred(memory, agents["helper"], evening - 2 * DAY) == {}


def test_each_send_window_is_judged_by_its_own_instant(
    agents: dict[str, Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    memory = Memory()
    send(memory, agents["seller"], "sale/plain@sms", noon - 2 * DAY + timedelta(hours=2))
    found = set(barred(memory, agents["helper"], noon))
    assert {name for name in found if name.endswith("@sms")} == {
        "help/short@sms", "help/long@sms", "sale/plain@sms",
    }  # fmt: skip
    assert "help/short@email#late" not in found  # five hours later
    assert "help/short@email#late" in barred(memory, agents["helper"], noon, time_zone=None)


def test_it_speaks_of_the_actions_it_selects_and_hears_every_contact(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    rule = RULE.replace("for: 2d", "for: 2d, except: {kinds: [service]}")
    helper = build({"guardrails": rule})
    seller = build({"guardrails": rule}, agent="seller")
    memory = Memory()
    send(memory, seller, "help/short@sms", noon)
    assert set(barred(memory, helper, noon)) == {"sale/plain@sms"}
