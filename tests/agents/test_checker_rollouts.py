"""Logs of rollouts: nothing is found in a true one, and each rule is missed when it sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from agents.checker import Report, check_log
from agents.decisions import Decision, OutcomeEvent
from agents.groups import Group
from agents.load import LoadedWorkspace, load_workspace
from agents.log import log_row, log_table
from agents.memory import Memory
from agents.revision import Revision
from policies.decide import decide
from policies.uniform import Uniform

KEY = b"key"
START = datetime(2026, 3, 26, 5, tzinfo=UTC)  # Berlin sets its clocks forward on the 29th
CUSTOMERS, ROUNDS = 25, 260
WORKSPACE = """
workspace: shopping
currency: EUR
zone: Europe/Berlin
customer:
  tier: {type: category, values: [gold, plain]}
  wants: {type: set, values: [news, deals]}
  since: {type: instant}
  name: {type: text, feature: false}
  language: {type: category, values: [en, de, de-AT]}
  stop: {type: boolean, feature: false}
  no_sms: {type: boolean, feature: false}
  ok_email: {type: boolean, feature: false}
  time_zone: {type: zone, feature: false}
channels:
  email:
    cost: 0.1
    consent: ok_email
    windows:
      weekday: {from: "09:00", to: "12:00", days: [mon, tue, wed, thu, fri]}
      night: {from: "22:00", to: "02:30", days: [sat, sun]}
  sms: {cost: 0.5, opt_out: no_sms, quiet_hours: {from: "20:00", to: "08:00", on_hit: queue}}
  push: {cost: 0.01, quiet_hours: {from: "21:00", to: "07:00", days: [mon, wed, fri]}CAPACITY}
  web: {placements: [home, cart]}
locales: {field: language, default: en}
opt_out: stop
events:
  opened: {counts_as: response}
  bounced: {counts_as: failure}
  angry: {counts_as: rejection}
"""
AGENT = """
agent: NAME
audience: "'news' in customer.wants || customer.since < timestamp('2025-01-01T00:00:00Z')"
outcomes:
  bought: {value: 10, window: 7d, metric: primary}
offers:
  help:
    kind: service
    applicable: "customer.tier == 'gold'"
    variants: {short: {text: "Hello {{ customer.name }}", locales: {de: {text: Hallo}}}}
    channels: [email, sms, push, web]
    placements: [home]
    tags: [kind]
  sale:
    kind: promotion
    stage: growth
    cost: 1
    start: 2026-03-27
    end: 2026-04-20
    STOCK
    variants: {plain: {text: Buy}, loud: {text: BUY}}
    channels: [email, sms, push]
  pack:
    kind: promotion
    includes: [sale]
    variants: {plain: {text: Both}}
    channels: [push, web]
  spare:
    kind: education
    FALLBACK
    variants: {plain: {text: Read}}
    channels: [push, sms]
MORE
holdout: {control: 0.1, random: 0.2}
"""
RULES = {
    "eligibility": "x: {rule: eligibility, when: customer.tier == 'gold', on: {channels: [sms]}}",
    "suppression": "x: {rule: suppression, when: customer.tier == 'gold', except: {tags: [kind]}}",
    "cap": "x: {rule: frequency_cap, max: 2, per: 3d, scope: channel}",
    "cap_bundle": "x: {rule: frequency_cap, max: 1, per: 5d, scope: offer}",
    "cap_agent":
        "x: {rule: frequency_cap, max: 2, per: 4d, scope: agent, on: {kinds: [promotion]}}",
    "cap_calendar":
        "x: {rule: frequency_cap, max: 1, per: week, window: calendar, scope: kind}",
    "cap_delivery": "x: {rule: frequency_cap, max: 2, per: 4d, counts: delivery}",
    "cap_response": "x: {rule: frequency_cap, max: 1, per: 6d, counts: response, scope: action}",
    "cap_total": "x: {rule: frequency_cap, max: 7, per: 2d, for: total, scope: channel}",
    "cap_total_day":
        "x: {rule: frequency_cap, max: 4, per: day, window: calendar, for: total, scope: offer}",
    "cap_total_delivery":
        "x: {rule: frequency_cap, max: 6, per: 2d, for: total, counts: delivery}",
    "cap_total_response":
        "x: {rule: frequency_cap, max: 2, per: 2d, for: total, counts: response, scope: agent}",
    "cooldown": "x: {rule: cooldown, pause: 3d, scope: offer}",
    "cooldown_times": "x: {rule: cooldown, pause: 4d, scope: all, times: 2, within: 3d}",
    "cooldown_rejection": "x: {rule: cooldown, pause: 8d, scope: channel, after: rejection}",
    "cooldown_words":
        "x: {rule: cooldown, pause: 9d, scope: all, after: [opened], times: 2, within: 8d}",
    "ending": "x: {rule: event_suppression, after: [bought, opened], for: 9d}",
    "exclusion": "x: {rule: exclusion_list, customers: [c1, c2, c3, c4, c5, c6]}",
    "exclusive": "x: {rule: exclusive, agents: [care, shop], for: 2d}",
    "escalation":
        "x: {rule: escalation, from: push, to: sms, unless: [opened], wait: 1d, within: 4d}",
    "escalation_agent":
        "x: {rule: escalation, from: push, to: sms, unless: [opened], wait: 1h, within: 3d,"
        " scope: agent}",
    "sequence":
        "x: {rule: sequence, steps: [{kinds: [service]}, {kinds: [promotion], after: 6h},"
        " {kinds: [education]}], within: 3d, restart: 8d, until: [angry]}",
    "budget": "x: {rule: budget, max: 3, per: day, on: {kinds: [promotion]}}",
    "budget_cost": "x: {rule: budget, measure: cost, max: 25.5, per: week}",
    "budget_life": "x: {rule: budget, max: 24}",
    "pace": "x: {rule: budget, min: 30, max: 40, per: week, on: {kinds: [service]}}",
    "precedence": "x: {rule: precedence, order: [service, promotion, education]}",
    "precedence_when":
        "x: {rule: precedence, order: [service, promotion], when: customer.tier == 'gold',"
        " after: [opened], within: 9d}",
}  # fmt: skip
IMPLIED = {
    "stock": ("STOCK", "stock: {max: 9, per: week}"),
    "fallback": ("FALLBACK", "fallback: true"),
    "capacity": ("CAPACITY", ", capacity: {max: 3, per: day}"),
    "maturity": ("MORE", "maturity: {start_share: 0.05, full_at_positives: 60}"),
    "always_act": ("MORE", "always_act: true"),
    "audience": ("", ""),
    "applicable": ("", ""),
    "opt_out": ("", ""),
    "consent": ("", ""),
    "dates": ("", ""),
    "placement": ("", ""),
    "content": ("", ""),
    "quiet_hours": ("", ""),
}
SLOTS = ("STOCK", "FALLBACK", "CAPACITY", "MORE")


def write(folder: Path, *, rule: str = "", shared: bool = False, implied: str = "") -> Path:
    """A workspace of two agents, with one rule of all or of each agent, or one implied rule."""
    slot, text = IMPLIED.get(implied, ("", ""))
    block = f"guardrails:\n  {rule}\n" if rule else ""

    def fill(document: str) -> str:
        for name in SLOTS:
            document = document.replace(name, text if name == slot else "")
        return document

    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(fill(WORKSPACE) + (block if shared else ""))
    for name in ("care", "shop"):
        document = fill(AGENT).replace("NAME", name) + ("" if shared else block)
        (folder / "agents" / f"{name}.yaml").write_text(document)
    return folder


@dataclass(frozen=True)
class Run:
    """A rollout: its log, and how often each rule gave the reason."""

    table: pa.Table
    reasons: dict[str, int]
    contacts: int


def facts(rng: np.random.Generator) -> dict[str, Any]:
    known: dict[str, Any] = {
        "tier": str(rng.choice(["gold", "gold", "plain"])),
        "wants": ["news"] if rng.random() < 0.8 else ["deals"],
        "since": datetime(2024 + int(rng.integers(3)), 1, 2, tzinfo=UTC),
        "name": "Ann" if rng.random() < 0.8 else None,
        "language": str(rng.choice(["en", "de", "de-AT"])),
        "stop": bool(rng.random() < 0.05),
        "no_sms": bool(rng.random() < 0.1),
        "ok_email": bool(rng.random() < 0.9),
        "time_zone": str(rng.choice(["Europe/Berlin", "America/New_York", "Asia/Kolkata"])),
    }
    return {
        name: value for name, value in known.items() if rng.random() > 0.03 and value is not None
    }


def roll(workspace: LoadedWorkspace, *, seed: int = 0, rounds: int = ROUNDS) -> Run:
    """Let both agents decide uniformly for some customers, who answer now and then."""
    rng, memory, at = np.random.default_rng(seed), Memory(), START
    decided: list[tuple[Decision, Revision]] = []
    heard: dict[str, list[OutcomeEvent]] = {}
    waiting: list[OutcomeEvent] = []
    revisions = list(workspace.revisions.values())
    for number in range(rounds):
        at += timedelta(minutes=int(rng.integers(1, 150)))
        for event in sorted((e for e in waiting if e.at <= at), key=lambda e: e.at):
            waiting.remove(event)
            memory.hear(event)
            heard.setdefault(event.decision_id, []).append(event)
        revision = revisions[int(rng.integers(len(revisions)))]
        customer = f"c{rng.integers(CUSTOMERS)}"
        placement = str(rng.choice(["", "", "", "home", "cart"]))
        context = memory.recall(revision, customer, at, facts(rng), placement=placement)
        decision = decide(revision, Uniform(), context, decision_id=f"d{number}", secret=b"s")
        contact = memory.keep(decision, revision)
        decided.append((decision, revision))
        if contact is not None and rng.random() < 0.6:
            word = str(rng.choice(["opened", "bought", "bounced", "angry"]))
            later = contact.at + timedelta(hours=float(rng.uniform(0, 30)))
            event = OutcomeEvent(f"o{number}", decision.decision_id, word, later, customer=customer)
            waiting.append(event)
    return summary(decided, heard, at)


def summary(
    decided: list[tuple[Decision, Revision]], heard: dict[str, list[OutcomeEvent]], at: datetime
) -> Run:
    reasons: dict[str, int] = {}
    for decision, _ in decided:
        for reason in decision.mask.reasons if decision.group is not Group.CONTROL else ():
            if reason is not None:
                assert "could not be checked" not in reason, reason
                name = reason.partition(": ")[0]
                reasons[name] = reasons.get(name, 0) + 1
    rows = (
        log_row(i, d, r, heard.get(d.decision_id, []), now=at + timedelta(days=30), key=KEY)
        for i, (d, r) in enumerate(decided)
    )
    contacts = sum(decision.send_at is not None for decision, _ in decided)
    return Run(log_table(rows), reasons, contacts)


def asleep(workspace: LoadedWorkspace, name: str) -> Iterator[tuple[type, str]]:
    """The classes of the rules of a name, and the method by which each bars."""
    for revision in workspace.revisions.values():
        for rule in revision.guardrails:
            if rule.name == name:
                yield type(rule), "bars"
        for ranking in revision.rankings:
            if ranking.name == name:
                yield type(ranking), "bars_among"


def judged(run: Run, folder: Path) -> Report:
    return check_log(run.table, folder, hash_key=KEY)


@pytest.mark.parametrize(
    ("name", "shared"),
    # Only an agent's own rule may speak of tags.
    [(name, shared) for name in RULES for shared in (True, False)[name == "suppression" :]],
)
def test_a_rule_is_kept_in_a_rollout_and_missed_when_it_sleeps(
    name: str, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "w", rule=RULES[name], shared=shared)
    workspace = load_workspace(folder)
    true = roll(workspace)
    assert judged(true, folder) == []
    assert true.reasons["x"] > 10
    assert true.contacts > 15
    for rule, method in set(asleep(workspace, "x")):
        monkeypatch.setattr(rule, method, lambda *_: iter(()))
    assert "x" in {breach.guardrail for breach in judged(roll(workspace), folder)}


@pytest.mark.parametrize("name", IMPLIED)
def test_what_documents_imply_is_kept_and_missed_when_it_sleeps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "w", implied=name)
    workspace = load_workspace(folder)
    true = roll(workspace)
    assert judged(true, folder) == []
    assert true.reasons[name] > 10
    assert true.contacts > 15
    if name == "always_act":
        return  # it is no rule; forged rows show it
    for rule, method in set(asleep(workspace, name)):
        monkeypatch.setattr(rule, method, lambda *_: iter(()))
    assert name in {breach.guardrail for breach in judged(roll(workspace), folder)}
