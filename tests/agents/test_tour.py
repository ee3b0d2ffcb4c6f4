"""Every example on the tour of a workspace is one that loads."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

from agents.load import compile_agent, parse_workspace
from agents.yamlsource import read_yaml

TOUR = Path(__file__).parents[2] / "docs" / "workspace.md"
HEAD = """\
workspace: tour
currency: EUR
zone: Europe/Berlin
customer:
  status: {type: category, values: [basic, silver, gold]}
  stay_begins: {type: instant}
  spend: {type: number}
  age: {type: integer}
  first_name: {type: text}
  language: {type: category, values: [de, en]}
  consent_email: {type: boolean}
  time_zone: {type: zone}
locales: {field: language, default: en}
events: {opened: {}, declined: {counts_as: rejection}, bounced: {counts_as: failure}}
"""
MORE_CHANNELS = """\
  push: {}
  call: {}
"""
MORE_OUTCOMES = """\
  upgraded: {value: 30, window: 7d}
"""
MORE_OFFERS = """\
  breakfast: {kind: service, channels: [email, sms], variants: {v: {text: Breakfast}}}
  stay: {kind: retention, channels: [push, call], variants: {v: {text: Stay}}}
"""

LOOP = """\
agent: rank
supplied: {channel: app}
outcomes: {reward: {value: {property: value, min: 0, max: 1, typical: 1}, window: 1h}}
policy: {learner: first}
always_act: true
holdout: {control: 0, random: 0}
"""
SUPPLIED = "rule: action_suppression"


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", TOUR.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_of_the_tour_make_a_workspace_that_loads() -> None:
    tops = {text.split(":")[0]: text for text in blocks() if "rule:" not in text}
    rules = "".join(
        indent(text, "  ") for text in blocks() if "rule:" in text and SUPPLIED not in text
    )
    assert set(tops) == {"channels", "arbitration", "outcomes", "offers"}
    shared = HEAD + tops["channels"] + MORE_CHANNELS + tops["arbitration"]
    workspace = parse_workspace(read_yaml(shared, "workspace.yaml"))
    own = tops["outcomes"] + MORE_OUTCOMES + tops["offers"] + MORE_OFFERS
    text = f"agent: upsell\n{own}guardrails:\n{rules}"
    revision = compile_agent(text, "upsell.yaml", workspace)
    assert "suite/view@email#morning" in revision.action_ids
    assert len(revision.agent.guardrails) == 12


def test_the_rules_of_the_tour_for_supplied_actions_make_a_loop_that_loads() -> None:
    (rules,) = (indent(text, "  ") for text in blocks() if SUPPLIED in text)
    workspace = parse_workspace(read_yaml(f"{HEAD}channels: {{app: {{}}}}\n", "workspace.yaml"))
    revision = compile_agent(f"{LOOP}guardrails:\n{rules}", "rank.yaml", workspace)
    assert len(revision.agent.guardrails) == rules.count(SUPPLIED) == 3
