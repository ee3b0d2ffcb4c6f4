"""A budget that is new, renamed or counted otherwise knows what was used before it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.decisions import OutcomeEvent
from agents.load import LoadedWorkspace, compile_agent, load_workspace
from agents.memory import past_event
from agents.revision import Revision
from policies.decide import decide
from policies.uniform import Uniform
from serving.clock import DrivenClock
from serving.deciding.active import ActiveAgents
from serving.deciding.recall import keep, recall
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger
from serving.life.lifecycle import Lifecycle
from serving.life.written import Written

WORKSPACE = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer: {age: {type: integer}}
channels: {email: {cost: 2}}
events: {bounced: {counts_as: failure}, opened: {counts_as: response}}
"""
AGENT = """\
agent: seller
outcomes: {bought: {value: 10, window: 7d}}
offers:
  sale: {kind: promotion, variants: {v: {text: Buy}}, channels: [email]}
  help: {kind: service, variants: {v: {text: Help}}, channels: [email]}
policy: {learner: uniform}
holdout: {control: 0, random: 0}
always_act: true
guardrails:
"""
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
WEEK = "{rule: budget, max: 100, per: week}"


@pytest.fixture
def shop(tmp_path: Path) -> LoadedWorkspace:
    (tmp_path / "agents").mkdir()
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    (tmp_path / "agents" / "seller.yaml").write_text(f"{AGENT}  week: {WEEK}\n")
    return load_workspace(tmp_path)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger.open(tmp_path / "ledger.sqlite")) as opened:
        opened.begin()
        yield opened


class Shop:
    """One agent beside a ledger, whose rules change while it sends."""

    def __init__(self, loaded: LoadedWorkspace, ledger: SqliteLedger, folder: Path) -> None:
        self.loaded, self.ledger, self.made = loaded, ledger, 0
        agents = ActiveAgents(loaded, SnapshotFolder(folder / "snapshots", b"k"))
        self.lifecycle = Lifecycle(agents, DrivenClock())

    def rule(self, text: str, without: str = "") -> Revision:
        """Let another rule stand, without one of the offers if it is named."""
        offers = [line for line in AGENT.splitlines() if not without or f"  {without}:" not in line]
        yaml = "\n".join([*offers, f"  {text}\n"])
        revision = compile_agent(yaml, "seller.yaml", self.loaded.workspace)
        self.lifecycle.submit(self.ledger, Written(revision, text, self.loaded.source))
        return revision

    def send(self, revision: Revision, count: int, days: float = 0.0, event: str = "") -> list[str]:
        sent = []
        for _ in range(count):
            self.made += 1
            at = NOON + timedelta(days=days, seconds=self.made)
            name = f"d{self.made}"
            context = recall(self.ledger, revision, f"c{self.made}", at, {})
            decision = decide(revision, Uniform(), context, decision_id=name, secret=b"s")
            keep(self.ledger, decision, revision)
            sent.append(decision.action_id)
            contact = decision.contact(revision.actions[decision.action])
            assert contact is not None
            if event:
                heard = OutcomeEvent(f"o{name}", name, event, at, customer=f"c{self.made}")
                self.ledger.add_outcome(
                    heard, past_event(heard, contact), counted=(), request=b"", closes=at
                )
        return sent

    def usage(self, revision: Revision) -> float:
        (reading,) = revision.readings(revision.context("x", NOON + timedelta(hours=1), {}))
        return self.ledger.used(reading)


@pytest.fixture
def seller(shop: LoadedWorkspace, ledger: SqliteLedger, tmp_path: Path) -> Shop:
    return Shop(shop, ledger, tmp_path)


@pytest.mark.parametrize(
    ("rule", "used"),
    [
        ("renamed: {rule: budget, max: 100, per: week}", 7.0),  # those of last week are not in it
        ("week: {rule: budget, max: 100, per: month}", 10.0),
        ("week: {rule: budget, measure: cost, max: 100, per: week}", 14.0),
        ("all: {rule: budget, max: 100}", 10.0),
        ("some: {rule: frequency_cap, max: 99, per: 2d, for: total}", 7.0),
        ("some: {rule: frequency_cap, max: 99, per: 2d, for: total, counts: delivery}", 4.0),
        ("some: {rule: frequency_cap, max: 99, per: 2d, for: total, counts: response}", 2.0),
    ],
)
def test_a_new_counter_begins_with_what_was_used(seller: Shop, rule: str, used: float) -> None:
    first = seller.rule(f"week: {WEEK}")
    seller.send(first, 3, days=-3)  # on Sunday
    seller.send(first, 2)
    seller.send(first, 3, event="bounced")
    seller.send(first, 2, event="opened")
    assert seller.usage(seller.rule(rule)) == used


def test_a_counter_that_stays_is_left_alone(seller: Shop) -> None:
    first = seller.rule(f"week: {WEEK}")
    seller.send(first, 5)
    assert seller.usage(seller.rule("week: {rule: budget, max: 50, per: week}")) == 5.0


def test_a_counter_taken_up_again_adds_only_what_was_sent_in_between(seller: Shop) -> None:
    seller.send(seller.rule(f"week: {WEEK}"), 4)
    seller.send(seller.rule("other: {rule: budget, max: 90, per: day}"), 3)
    again = seller.rule(f"week: {WEEK}")
    assert seller.usage(again) == 7.0
    seller.send(again, 1)
    assert seller.usage(again) == 8.0


def test_actions_that_a_rule_begins_to_speak_of_are_counted(seller: Shop) -> None:
    first = seller.rule("week: {rule: budget, max: 100, per: week, on: {kinds: [promotion]}}")
    sent = seller.send(first, 20)
    assert 0 < sum(action.startswith("sale") for action in sent) < 20
    assert seller.usage(seller.rule(f"week: {WEEK}")) == 20.0


def test_an_action_that_was_away_is_not_counted_twice(seller: Shop) -> None:
    first = seller.rule(f"week: {WEEK}")
    sent = seller.send(first, 20)
    assert any(action.startswith("help") for action in sent)
    seller.rule(f"week: {WEEK}", without="help")
    assert seller.usage(seller.rule(f"week: {WEEK}")) == 20.0


def test_an_action_a_rule_spoke_of_before_adds_only_what_was_sent_in_between(seller: Shop) -> None:
    first = seller.rule(f"week: {WEEK}")
    seller.send(first, 10)
    narrow = seller.rule("week: {rule: budget, max: 100, per: week, on: {kinds: [promotion]}}")
    seller.send(narrow, 10)
    seller.rule("other: {rule: budget, max: 90, per: day}")
    seller.send(seller.rule(f"week: {WEEK}"), 1)
    assert seller.usage(first) == 21.0
