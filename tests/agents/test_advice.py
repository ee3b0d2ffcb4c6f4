"""Each warning of `nextbest check`, with both places; and silence where all is well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.advising.advice import advise
from agents.catalog import example_folder, example_names
from agents.load import load_workspace

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
WORKSPACE = """\
workspace: small
currency: EUR
zone: Europe/Berlin
customer:
  age: {type: integer, min: 18, max: 120}
  complaint: {type: boolean}
channels:
  email: {cost: 1}
  sms: {}
  push: {}
events:
  opened: {}
guardrails:
  policy: {rule: frequency_cap, max: 3, per: 14d}
"""
AGENT = """\
agent: helper
outcomes:
  bought: {value: 10, window: 7d}
offers:
  help:
    kind: service
    variants: {v: {text: Help}}
    channels: [email, sms]
  sale:
    kind: promotion
    variants: {v: {text: Buy}}
    channels: [email]
guardrails:
  own: {rule: cooldown, pause: 1d}
"""
OWN = "{rule: cooldown, pause: 1d}"
POLICY = "{rule: frequency_cap, max: 3, per: 14d}"

Warn = Callable[[str, str], list[str]]
Replaced = Callable[[str, str, str], str]
Place = Callable[[str, str], str]


@pytest.fixture
def warn(tmp_path: Path) -> Warn:
    def load(workspace: str, agent: str) -> list[str]:
        folder = tmp_path / "shop"
        (folder / "agents").mkdir(parents=True)
        (folder / "workspace.yaml").write_text(workspace, encoding="utf-8")
        (folder / "agents" / "helper.yaml").write_text(agent, encoding="utf-8")
        return [str(advice) for advice in advise(load_workspace(folder), NOW)]

    return load


def test_a_workspace_where_all_is_well_gets_no_advice(warn: Warn) -> None:
    assert warn(WORKSPACE, AGENT) == []


@pytest.mark.parametrize("name", example_names())
def test_the_examples_need_no_advice(name: str) -> None:
    with example_folder(name) as folder:
        assert [str(advice) for advice in advise(load_workspace(folder), NOW)] == []


@pytest.mark.parametrize(
    ("old", "new", "mark", "words"),
    [
        ("kind: service", "kind: service\n    end: 2026-03-01", "end", "at offers.help.end: it"
         " ended on 2026-03-01, so nobody can get it any more"),
        ("kind: service", "kind: service\n    stock: {max: 0}", "stock", "at offers.help.stock: a"
         " stock of 0: nobody can get it"),
        ("kind: service", "kind: service\n    eligible: customer.age < 18", "eligible", "at"
         " offers.help.eligible: customer.age < 18 is true for no customer, so nobody passes"),
        ("{v: {text: Help}}", "{v: {text: Help, locales: {de: {text: Hilfe}}}}", "locales", "at"
         " offers.help.variants.v.locales: the workspace has no 'locales', so these are never"
         " used"),
        (OWN, "{rule: suppression, when: customer.age > 17}", "when", "at guardrails.own.when:"
         " customer.age > 17 is false for no customer, so it bars all that it speaks of"),
        (OWN, "{rule: precedence, order: [service, promotion], when: customer.age > 120}", "when",
         "at guardrails.own.when: customer.age > 120 is true for no customer, so it never holds"),
        (OWN, "{rule: frequency_cap, max: 0, per: 1d}", "max", "at guardrails.own.max: a limit of 0"
         " bars every action that it speaks of"),
        (OWN, "{rule: budget, max: 0}", "max", "at guardrails.own.max: a limit of 0 bars every"
         " action that it speaks of"),
        (OWN, "{rule: budget, measure: cost, max: 0}", "max", "at guardrails.own.max: a limit of 0"
         " bars every action that costs something"),
        (OWN, "{rule: cooldown, after: rejection, pause: 1d}", "after", "at guardrails.own.after:"
         " no event counts as a rejection, so it never bars"),
        (OWN, "{rule: frequency_cap, max: 1, per: 1d, counts: delivery}", "counts", "at"
         " guardrails.own.counts: no event counts as a failure, so it is the same as 'counts:"
         " decision'"),
        (OWN, "{rule: escalation, from: email, to: push, unless: [opened], wait: 1d, within: 2d}",
         "to: push", "at guardrails.own.to: no offer that it speaks of uses push, so it bars"
         " nothing"),
        (OWN, "{rule: escalation, from: push, to: sms, unless: [opened], wait: 1d, within: 2d}",
         "from: push", "at guardrails.own.from: no offer that it speaks of uses push, so it bars"
         " sms for good"),
        ("guardrails:", "maturity: {start_share: 1}\nguardrails:", "start_share", "at"
         " maturity.start_share: every customer may get a new action at once, so nothing is ramped"
         " up"),
    ],
)  # fmt: skip
def test_an_agent_is_advised_at_the_place(
    warn: Warn, replaced: Replaced, place: Place, old: str, new: str, mark: str, words: str
) -> None:
    text = replaced(AGENT, old, new)
    assert warn(WORKSPACE, text) == [f"shop/agents/helper.yaml:{place(text, mark)}: {words}"]


@pytest.mark.parametrize(
    ("old", "new", "mark", "words"),
    [
        ("sms: {}", "sms: {capacity: {max: 0, per: day}}", "capacity", "at channels.sms.capacity: a"
         " capacity of 0 bars every action of the channel"),
        (POLICY, "{rule: cooldown, pause: 3d, on: {channels: [push]}}", "policy", "at"
         " guardrails.policy: it speaks of no action of any agent"),
        (POLICY, "{rule: sequence, steps: [{channels: [email]}, {channels: [push]}], within: 1d,"
         " restart: 9d}", "{channels: [push]", "at guardrails.policy.steps.1: no action takes this"
         " step"),
    ],
)  # fmt: skip
def test_a_workspace_is_advised_at_the_place(
    warn: Warn, replaced: Replaced, place: Place, old: str, new: str, mark: str, words: str
) -> None:
    text = replaced(WORKSPACE, old, new)
    assert warn(text, AGENT) == [f"shop/workspace.yaml:{place(text, mark)}: {words}"]


def test_two_orders_that_contradict_are_both_named(
    warn: Warn, replaced: Replaced, place: Place
) -> None:
    rule = "{{rule: precedence, order: [{}]}}"
    shared = replaced(WORKSPACE, POLICY, rule.format("service, retention, promotion"))
    text = replaced(AGENT, OWN, rule.format("promotion, service"))
    (advice,) = warn(shared, text)
    where = f"shop/agents/helper.yaml:{place(text, 'own')}: at guardrails.own: it puts promotion"
    assert advice.startswith(f"{where} before service, and policy the other way round;")
    assert advice.endswith(f"; see shop/workspace.yaml:{place(shared, 'policy')}")


def test_two_orders_that_agree_are_left_alone(warn: Warn, replaced: Replaced) -> None:
    rule = "{{rule: precedence, order: [{}]}}"
    shared = replaced(WORKSPACE, POLICY, rule.format("service, retention, promotion"))
    assert warn(shared, replaced(AGENT, OWN, rule.format("service, promotion"))) == []


@pytest.mark.parametrize(
    ("pause", "cap", "needless"),
    [
        ("scope: all", "max: 1, per: 14d", True),
        ("scope: all", "max: 3, per: 30d", True),
        ("scope: all", "max: 1, per: 14d, on: {kinds: [service]}", True),
        ("scope: all", "max: 1, per: 31d", False),
        ("scope: offer", "max: 1, per: 14d", False),
        ("scope: all, after: response", "max: 1, per: 14d", False),
        ("scope: all", "max: 1, per: 14d, for: total", False),
        ("scope: all", "max: 1, per: week, window: calendar", False),
        ("scope: all, on: {kinds: [service]}", "max: 1, per: 14d", False),
        ("scope: all, on: {kinds: [service]}", "max: 1, per: 14d, on: {kinds: [service]}", True),
    ],
)
def test_a_cap_that_a_cooldown_makes_needless_is_found(
    warn: Warn, replaced: Replaced, place: Place, pause: str, cap: str, needless: bool
) -> None:
    shared = replaced(WORKSPACE, POLICY, f"{{rule: cooldown, pause: 30d, {pause}}}")
    text = replaced(AGENT, OWN, f"{{rule: frequency_cap, scope: all, {cap}}}")
    expected = []
    if needless:
        expected = [
            f"shop/agents/helper.yaml:{place(text, 'own')}: at guardrails.own: it can never bar"
            " anything: policy lets one contact through in 30d already; see"
            f" shop/workspace.yaml:{place(shared, 'policy')}"
        ]
    assert warn(shared, text) == expected


def test_a_bundle_whose_days_never_meet_names_both_offers(
    warn: Warn, replaced: Replaced, place: Place
) -> None:
    text = replaced(AGENT, "kind: service", "kind: service\n    start: 2027-01-01")
    new = "kind: promotion\n    end: 2026-12-31\n    includes: [help]"
    text = replaced(text, "kind: promotion", new)
    assert warn(WORKSPACE, text) == [
        f"shop/agents/helper.yaml:{place(text, 'help]')}: at offers.sale.includes.0: the days of"
        " sale and help never meet, so nobody can get the bundle; see"
        f" shop/agents/helper.yaml:{place(text, 'help:')}"
    ]


def test_an_agent_of_fallbacks_only_is_advised(warn: Warn, place: Place) -> None:
    text = AGENT.replace("kind: service", "kind: service\n    fallback: true")
    text = text.replace("kind: promotion", "kind: promotion\n    fallback: true")
    assert warn(WORKSPACE, text) == [
        f"shop/agents/helper.yaml:{place(text, 'offers')}: at offers: every offer is a fallback,"
        " and there is no other"
    ]


PATH = "{{rule: escalation, from: {}, to: {}, unless: [opened], wait: 1d, within: {}, scope: {}}}"


@pytest.mark.parametrize(
    ("pause", "path", "closed"),
    [
        ("{rule: cooldown, pause: 5d}", PATH.format("email", "sms", "5d", "offer"), True),
        ("{rule: cooldown, pause: 5d, scope: kind}", PATH.format("email", "sms", "5d", "offer"),
         True),
        ("{rule: frequency_cap, max: 1, per: 9d, scope: agent}", PATH.format("email", "sms", "5d",
         "agent"), True),
        ("{rule: cooldown, pause: 4d}", PATH.format("email", "sms", "5d", "offer"), False),
        ("{rule: cooldown, pause: 5d}", PATH.format("email", "sms", "5d", "agent"), False),
        ("{rule: cooldown, pause: 5d, scope: channel}", PATH.format("email", "sms", "5d", "offer"),
         False),
        ("{rule: frequency_cap, max: 2, per: 9d}", PATH.format("email", "sms", "5d", "offer"),
         False),
        ("{rule: frequency_cap, max: 1, per: 9d, counts: delivery}", PATH.format("email", "sms",
         "5d", "offer"), False),
        ("{rule: cooldown, pause: 5d, except: {channels: [sms]}}", PATH.format("email", "sms",
         "5d", "offer"), False),
    ],
)  # fmt: skip
def test_a_pause_that_outlasts_an_escalation_is_found(
    warn: Warn, replaced: Replaced, place: Place, pause: str, path: str, closed: bool
) -> None:
    shared, text = replaced(WORKSPACE, POLICY, pause), replaced(AGENT, OWN, path)
    found = warn(shared, text)
    stuck = [advice for advice in found if "never opens" in advice]
    assert len(stuck) == closed
    for advice in stuck:
        assert advice.startswith(
            f"shop/agents/helper.yaml:{place(text, 'own')}: at guardrails.own: sms never opens: it"
            " closes 5d after email, and policy lets one contact through in "
        )
        assert advice.endswith(f"; see shop/workspace.yaml:{place(shared, 'policy')}")


def test_a_pause_that_outlasts_the_steps_of_a_sequence_is_found(
    warn: Warn, replaced: Replaced, place: Place
) -> None:
    steps = "steps: [{channels: [email]}, {channels: [sms]}]"
    sequence = f"{{rule: sequence, {steps}, within: 7d, restart: 60d}}"
    text = replaced(AGENT, OWN, sequence)
    shared = replaced(WORKSPACE, POLICY, "{rule: cooldown, pause: 7d, scope: all}")
    assert warn(shared, text) == [
        f"shop/agents/helper.yaml:{place(text, 'own')}: at guardrails.own: no step but the first"
        " can be taken: each must follow within 1w, and policy lets one contact through in 1w; see"
        f" shop/workspace.yaml:{place(shared, 'policy')}"
    ]


@pytest.mark.parametrize(
    ("shared", "own", "needless"),
    [
        ("max: 2, per: 14d", "max: 2, per: 7d", True),
        ("max: 2, per: 14d", "max: 3, per: 14d, scope: channel", True),
        ("max: 2, per: 14d, scope: agent", "max: 2, per: 14d, scope: offer", True),
        ("max: 2, per: 14d", "max: 1, per: 7d", False),
        ("max: 2, per: 7d", "max: 2, per: 8d", False),
        ("max: 2, per: 14d, scope: channel", "max: 3, per: 14d", False),
        ("max: 2, per: 14d, scope: agent", "max: 2, per: 14d, scope: kind", False),
        ("max: 2, per: 14d, on: {kinds: [service]}", "max: 2, per: 7d", False),
    ],
)
def test_a_cap_that_a_stricter_cap_makes_needless_is_found(
    warn: Warn, replaced: Replaced, shared: str, own: str, needless: bool
) -> None:
    text = replaced(AGENT, OWN, f"{{rule: frequency_cap, {own}}}")
    found = warn(replaced(WORKSPACE, POLICY, f"{{rule: frequency_cap, {shared}}}"), text)
    words = "at guardrails.own: it can never bar anything: policy lets 2 contacts through in 2w"
    assert [words in advice for advice in found] == [True] * needless


@pytest.mark.parametrize(
    ("budget", "lost"),
    [
        ("max: 9, per: week", True),
        ("max: 10, per: week", False),
        ("max: 9, per: month", False),
        ("max: 9, per: week, measure: cost", False),
        ("max: 9, per: week, on: {kinds: [promotion]}", False),
    ],
)
def test_a_pace_out_of_reach_names_the_budget_that_stops_it(
    warn: Warn, replaced: Replaced, place: Place, budget: str, lost: bool
) -> None:
    text = replaced(AGENT, OWN, "{rule: budget, min: 10, per: week, on: {kinds: [service]}}")
    shared = replaced(WORKSPACE, POLICY, f"{{rule: budget, {budget}}}")
    expected = [
        f"shop/agents/helper.yaml:{place(text, 'own')}: at guardrails.own: its pace of 10 a week is"
        f" out of reach: policy stops at 9; see shop/workspace.yaml:{place(shared, 'policy')}"
    ]
    assert warn(shared, text) == expected * lost


@pytest.mark.parametrize(
    ("old", "new", "mark", "words"),
    [
        (OWN, "{rule: budget, measure: cost, max: 0.5}", "max", "at guardrails.own.max: one contact"
         " of help/v@email costs 1, so it can never be sent"),
        (OWN, "{rule: precedence, order: [retention, promotion]}", "order", "at"
         " guardrails.own.order: no agent has actions of two of these kinds, so it never bars"),
        (OWN, PATH.format("email", "sms", "5d", "offer"), "", ""),
    ],
)  # fmt: skip
def test_a_rule_without_effect_is_found(
    warn: Warn, replaced: Replaced, place: Place, old: str, new: str, mark: str, words: str
) -> None:
    text = replaced(AGENT, old, new)
    expected = [f"shop/agents/helper.yaml:{place(text, mark)}: {words}"] if words else []
    assert warn(WORKSPACE, text) == expected


def test_an_offer_that_never_goes_by_the_first_channel_is_named(
    warn: Warn, replaced: Replaced, place: Place
) -> None:
    text = replaced(AGENT, OWN, PATH.format("email", "sms", "5d", "offer"))
    text = replaced(text, "channels: [email]\n", "channels: [sms]\n")
    assert warn(WORKSPACE, text) == [
        f"shop/agents/helper.yaml:{place(text, 'from: email')}: at guardrails.own.from: sale never"
        " goes by email, so nothing opens sms for it"
    ]


def test_conditions_that_nobody_meets_together_are_both_named(
    warn: Warn, replaced: Replaced, place: Place
) -> None:
    text = replaced(AGENT, OWN, "{rule: suppression, when: customer.age < 40}")
    text = replaced(text, "kind: service", "kind: service\n    eligible: customer.age < 30")
    assert warn(WORKSPACE, text) == [
        f"shop/agents/helper.yaml:{place(text, 'when')}: at guardrails.own.when: !(customer.age <"
        " 40) and customer.age < 30 are true together for no customer, so nobody can get help; see"
        f" shop/agents/helper.yaml:{place(text, 'eligible')}"
    ]


def test_conditions_that_somebody_meets_are_left_alone(warn: Warn, replaced: Replaced) -> None:
    text = replaced(
        AGENT, OWN, "{rule: eligibility, when: customer.age < 40, on: {kinds: [service]}}"
    )
    text = replaced(text, "kind: promotion", "kind: promotion\n    eligible: customer.age > 50")
    text = replaced(text, "kind: service", "kind: service\n    suitable: customer.age > 38")
    assert warn(WORKSPACE, text) == []


def test_an_exception_of_the_workspace_that_excepts_nothing_is_found(
    warn: Warn, replaced: Replaced, place: Place
) -> None:
    rule = "{rule: cooldown, pause: 3d, except: {channels: [push]}}"
    shared = replaced(WORKSPACE, POLICY, rule)
    assert warn(shared, AGENT) == [
        f"shop/workspace.yaml:{place(shared, 'except')}: at guardrails.policy.except: no action of"
        " any agent fits it, so it excepts nothing"
    ]


def test_a_control_of_everybody_is_found(warn: Warn, replaced: Replaced, place: Place) -> None:
    shared = replaced(WORKSPACE, "currency", "universal_control: {share: 1}\ncurrency")
    assert warn(shared, AGENT) == [
        f"shop/workspace.yaml:{place(shared, 'share')}: at universal_control.share: a share of 1:"
        " no agent ever contacts anybody"
    ]


@pytest.mark.parametrize(
    ("tag", "read"), [("de", True), ("de-AT", True), ("pt", True), ("en", True), ("it", False)]
)
def test_a_translation_that_nobody_reads_is_found(
    warn: Warn, replaced: Replaced, place: Place, tag: str, read: bool
) -> None:
    shared = replaced(
        WORKSPACE, "channels:", "  tongue: {type: category, values: [de-AT, pt-BR]}\nchannels:"
    )
    shared = replaced(shared, "channels:", "locales: {field: tongue, default: en}\nchannels:")
    text = replaced(AGENT, "{text: Help}", f"{{text: Help, locales: {{{tag}: {{text: Hi}}}}}}")
    expected = [
        f"shop/agents/helper.yaml:{place(text, 'it: {text: Hi')}: at offers.help.variants.v"
        ".locales.it: no value of customer.tongue leads to it, so it is never used"
    ] if not read else []  # fmt: skip
    assert warn(shared, text) == expected


def test_a_pause_that_does_not_count_the_first_channel_closes_nothing(
    warn: Warn, replaced: Replaced
) -> None:
    on = "on: {channels: [sms]}}"
    rule = PATH.format("email", "sms", "5d", "offer").removesuffix("}") + f", {on}"
    shared = replaced(WORKSPACE, POLICY, f"{{rule: cooldown, pause: 9d, {on}")
    assert warn(shared, replaced(AGENT, OWN, rule)) == []
