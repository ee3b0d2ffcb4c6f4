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


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", TOUR.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_of_the_tour_make_a_workspace_that_loads() -> None:
    tops = {text.split(":")[0]: text for text in blocks() if "rule:" not in text}
    rules = "".join(indent(text, "  ") for text in blocks() if "rule:" in text)
    assert set(tops) == {"channels", "arbitration", "outcomes", "offers"}
    shared = HEAD + tops["channels"] + MORE_CHANNELS + tops["arbitration"]
    workspace = parse_workspace(read_yaml(shared, "workspace.yaml"))
    own = tops["outcomes"] + MORE_OUTCOMES + tops["offers"] + MORE_OFFERS
    text = f"agent: upsell\n{own}guardrails:\n{rules}"
    revision = compile_agent(text, "upsell.yaml", workspace)
    assert "suite/view@email#morning" in revision.action_ids
    assert len(revision.agent.guardrails) == 12
