from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from agents.guardrails.history import AHEAD, UNKNOWN
from agents.memory import Memory
from agents.revision import Revision

WINDOWS = """
  email: {windows: {late: {from: "18:00", to: "22:00"}}}
  sms: {cost: 0.5}"""
RULES = {
    "rolling": "rule: frequency_cap, max: 1, per: 7d",
    "calendar": "rule: frequency_cap, max: 1, per: week, window: calendar",
    "total": "rule: frequency_cap, max: 9, per: week, window: calendar, for: total",
    "cooldown": "rule: cooldown, pause: 1d, scope: all",
    "suppression": "rule: event_suppression, after: [bought], scope: agent",
    "exclusive": "rule: exclusive, agents: [helper, seller], for: 1d",
    "escalation": "rule: escalation, from: sms, to: email, wait: 1h, within: 9d, unless: [bought]",
    "sequence": (
        "rule: sequence, steps: [{channels: [sms]}, {channels: [email]}], within: 9d, restart: 10d"
    ),
}


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_bars_what_would_be_sent_it_does_not_know_when(
    build: Callable[..., Revision],
    send: Callable[..., str],
    hear: Callable[..., None],
    features: dict[str, object],
    noon: datetime,
    kind: str,
) -> None:
    workspace = {"channels": WINDOWS, "guardrails": f"{{law: {{{RULES[kind]}}}}}"}
    revision, memory = build(workspace), Memory()
    hear(memory, "complained", noon, send(memory, revision, "sale/plain@sms", noon))
    send(memory, build(workspace, agent="seller"), "sale/plain@sms", noon)
    decision = send(memory, revision, "help/short@sms", noon)
    context = memory.recall(revision, "ann", noon, {**features, "time_zone": None})
    rule = next(rule for rule in revision.guardrails if rule.name == "law")
    if kind == "suppression":
        assert not list(rule.bars(revision.moment(context)))  # there is nothing to be near to
        hear(memory, "bought", noon, decision)
        context = memory.recall(revision, "ann", noon, {**features, "time_zone": None})
    late = {i for i, action in enumerate(revision.actions) if action.channel == "email"}
    unknown = [bar for bar in rule.bars(revision.moment(context)) if bar.reason == UNKNOWN]
    assert {index for bar in unknown for index in bar.actions} == late


def test_no_contact_is_planned_further_ahead_than_is_assumed(
    build: Callable[..., Revision], features: dict[str, object]
) -> None:
    window = '{windows: {w: {from: "02:15", to: "02:45", days: [sun]}}}'
    revision = build({"channels": f"{{email: {window}, sms: {{}}}}"})
    action = revision.actions[revision.index("help/short@email#w")]
    ended = datetime.fromisoformat("2026-01-18T01:45:00Z")
    sent = revision.send_at(action, revision.context("ann", ended, features))
    assert sent is not None
    assert timedelta(days=6) < sent - ended < AHEAD
    # A week in which the clock skips those minutes: there is none to be found.
    skipped = datetime.fromisoformat("2026-03-22T01:45:00Z")
    assert revision.send_at(action, revision.context("ann", skipped, features)) is None
