"""Agents whose actions come with each request: which rules bind them, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import indent
from typing import Any

import pyarrow as pa
import pytest

from agents.advising.advice import advise
from agents.catalog import example_folder
from agents.changes.diff import diff
from agents.changes.impact import impact
from agents.context import Contact, Context, PastEvent
from agents.errors import ContextError, DocumentError
from agents.load import LoadedWorkspace, compile_agent, load_workspace, parse_workspace
from agents.revision import Revision
from agents.supplied import Supplied, supply
from agents.tabular import mask_table
from agents.yamlsource import read_yaml
from policies.decide import decide
from policies.uniform import Uniform

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORKSPACE = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer:
  age: {type: integer}
  asked: {type: boolean}
  zone: {type: zone}
channels:
  site: {cost: 0.5}
  email: {}
"""
LOOP = """\
agent: front
supplied: {channel: site, cost: 1, customer: user.id, fields: {age: user.age, asked: user.asked}}
outcomes:
  reward:
    value: {property: value, min: -1, max: 1, typical: 1}
    window: 10m
    count: each
    aggregate: first
always_act: true
holdout: {control: 0, random: 0}
policy: {learner: uniform}
"""
OFFERS = """\
agent: seller
outcomes: {bought: {value: 1, window: 1d}}
offers: {pasta: {kind: promotion, variants: {a: {text: Eat}}, channels: [site]}}
"""
MENU = {"Pasta": [{"hot": True}], "Ice cream!": [{"hot": False}], "tea": [{"hot": True}]}


def loop(rules: str = "", *, agent: str = LOOP, workspace: str = WORKSPACE) -> Revision:
    text = f"{agent}guardrails:\n  one: {rules}\n" if rules else agent
    return compile_agent(text, "front.yaml", parse_workspace(read_yaml(workspace, "w.yaml")))


def refused(rules: str = "", *, agent: str = LOOP, workspace: str = WORKSPACE) -> str:
    with pytest.raises(DocumentError) as caught:
        loop(rules, agent=agent, workspace=workspace)
    return str(caught.value)


def contact(action: str, hours: float, decision: str = "d", **more: Any) -> Contact:
    known = {"agent": "front", "offer": action, "kind": "promotion", "channel": "site"} | more
    return Contact(NOON - hours * HOUR, action=action, decision_id=decision, **known)


def event(word: str, action: str, hours: float) -> PastEvent:
    return PastEvent(
        NOON - hours * HOUR, word, "d", "front", action, "promotion", "site", action
    )  # fmt: skip


def barred(
    rules: str,
    contacts: tuple[Contact, ...] = (),
    events: tuple[PastEvent, ...] = (),
    *,
    usage: float | None = 0.0,
    workspace: str = WORKSPACE,
    agent: str = LOOP,
    **features: object,
) -> set[str]:
    """The actions of the menu that some rule bars."""
    revision = loop(rules, workspace=workspace, agent=agent)
    supplied: Supplied = supply([], MENU)
    offered = revision.offering(supplied.actions)
    bare = offered.context("ann", NOON, features, contacts, events=events)
    keys = [] if usage is None else [reading.key for reading in offered.readings(bare)]
    context: Context = replace(
        bare, supplied=supplied, usage=dict.fromkeys(keys, usage or 0.0)
    )  # fmt: skip
    reasons = offered.mask(context).reasons
    named = zip(supplied.actions, reasons, strict=True)
    return {name for name, why in named if why is not None and name != "none"}


EVERY = set(MENU)
PASTA = {"Pasta"}


@pytest.mark.parametrize(
    ("rule", "contacts", "expected"),
    [
        ("frequency_cap, max: 1, per: 1d, scope: offer", [("Pasta", 5)], PASTA),
        ("frequency_cap, max: 1, per: 1d, scope: action", [("Pasta", 5)], PASTA),
        ("frequency_cap, max: 1, per: 1d, scope: all", [("Pasta", 5)], EVERY),
        ("frequency_cap, max: 1, per: 1d, scope: agent", [("gone", 5)], EVERY),
        ("frequency_cap, max: 1, per: 1d, scope: kind", [("gone", 5)], EVERY),
        ("frequency_cap, max: 1, per: 1d, scope: channel", [("gone", 5)], EVERY),
        ("frequency_cap, max: 2, per: 1d, scope: offer", [("Pasta", 5)], set()),
        ("frequency_cap, max: 1, per: 1d, scope: offer", [("Pasta", 25)], set()),
        ("frequency_cap, max: 1, per: 1d, scope: offer", [("gone", 5)], set()),
        ("cooldown, pause: 6h, scope: offer", [("Ice cream!", 5)], {"Ice cream!"}),
        ("cooldown, pause: 4h, scope: offer", [("Ice cream!", 5)], set()),
        ("cooldown, pause: 6h, scope: action", [("tea", 5)], {"tea"}),
        ("cooldown, pause: 6h, scope: all, on: {kinds: [promotion]}", [("gone", 5)], EVERY),
        ("cooldown, pause: 6h, scope: all, on: {channels: [site]}", [("gone", 5)], EVERY),
    ],
)
def test_a_supplied_action_counts_as_an_offer_of_its_own_name(
    rule: str, contacts: list[tuple[str, float]], expected: set[str]
) -> None:
    sent = tuple(contact(name, hours) for name, hours in contacts)
    assert barred(f"{{rule: {rule}}}", sent) == expected


def test_rewards_are_responses() -> None:
    rule = "{rule: cooldown, after: response, pause: 6h, scope: offer}"
    assert barred(rule, (contact("tea", 5),), (event("reward", "tea", 5),)) == {"tea"}
    ended = "{rule: event_suppression, after: [reward], scope: offer}"
    assert barred(ended, (contact("tea", 900),), (event("reward", "tea", 900),)) == {"tea"}


@pytest.mark.parametrize(
    ("rule", "usage", "expected"),
    [
        ("budget, max: 10, per: day", 9.0, set()),
        ("budget, max: 10, per: day", 10.0, EVERY),
        ("budget, measure: cost, max: 10, per: day", 8.5, set()),
        ("budget, measure: cost, max: 10, per: day", 9.0, EVERY),
        ("frequency_cap, max: 5, per: 1h, for: total, scope: all", 5.0, EVERY),
        ("frequency_cap, max: 5, per: 1h, for: total, scope: offer", 5.0, EVERY),
        ("frequency_cap, max: 5, per: 1h, for: total, scope: offer", 4.0, set()),
        ("budget, max: 10, per: day", None, EVERY),
    ],
)
def test_totals_bind(rule: str, usage: float | None, expected: set[str]) -> None:
    assert barred(f"{{rule: {rule}}}", usage=usage) == expected


def test_a_total_is_charged_by_the_action_that_was_drawn() -> None:
    rule = "{rule: frequency_cap, max: 5, per: 1h, for: total, scope: offer}"
    revision = loop(rule).offering(("none", "a", "b"))
    (charge,) = revision.charges(2, NOON)
    assert charge.counter.startswith("cap:front/one:front/b")
    (cost,) = loop("{rule: budget, measure: cost, max: 9}").offering(("none", "a")).charges(1, NOON)
    assert cost.amount == 1.5


@pytest.mark.parametrize(
    ("rule", "age", "expected"),
    [
        ("{rule: eligibility, when: customer.age >= 18}", 18, set()),
        ("{rule: eligibility, when: customer.age >= 18}", 17, EVERY),
        ("{rule: suppression, when: customer.age < 18}", 17, EVERY),
        ("{rule: suppression, when: customer.age < 18}", None, EVERY),
        ("{rule: exclusion_list, customers: [ann]}", 1, EVERY),
        ("{rule: exclusion_list, customers: [bob]}", 1, set()),
    ],
)
def test_rules_over_customers_bind(rule: str, age: int | None, expected: set[str]) -> None:
    known: dict[str, Any] = {} if age is None else {"age": age}
    assert barred(rule, **known) == expected


def test_an_audience_binds() -> None:
    agent = f"{LOOP}audience: customer.age >= 18\n"
    assert barred("", agent=agent, age=17) == EVERY
    assert barred("", agent=agent, age=18) == set()


def test_consent_and_quiet_hours_bind() -> None:
    consent = WORKSPACE.replace("{cost: 0.5}", "{cost: 0.5, consent: asked}")
    assert barred("", workspace=consent) == EVERY
    assert barred("", workspace=consent, asked=True) == set()
    span = "{cost: 0.5, quiet_hours: {from: '10:00', to: '14:00'}}"
    quiet = WORKSPACE.replace("{cost: 0.5}", span)
    assert barred("", workspace=quiet, zone="Europe/Berlin") == EVERY
    assert barred("", workspace=quiet, zone="Asia/Tokyo") == set()


def test_rules_over_agents_bind() -> None:
    shared = (
        WORKSPACE + "guardrails: {one_voice: {rule: exclusive, agents: [front, seller], for: 3d}}\n"
    )
    sent = contact("pasta/a@site", 5, agent="seller", offer="pasta")
    assert barred("", (sent,), workspace=shared) == EVERY
    assert barred("", (contact("tea", 5),), workspace=shared) == set()


def test_new_actions_are_ramped_up() -> None:
    agent = f"{LOOP}maturity: {{start_share: 0.5, full_at_positives: 10}}\n"
    assert barred("", agent=agent, usage=10.0) == set()
    assert barred("", agent=agent, usage=0.0)
    assert barred("", agent=agent, usage=None) == EVERY


def test_what_a_request_excludes_is_barred() -> None:
    revision = loop()
    supplied = supply([], MENU, barred={"tea": "excluded"})
    offered = revision.offering(supplied.actions)
    context = replace(offered.context("ann", NOON, {}), supplied=supplied)
    reasons = dict(zip(supplied.actions, offered.mask(context).reasons, strict=True))
    assert reasons["tea"] == "request: excluded"
    assert reasons["Pasta"] is None


@pytest.mark.parametrize("word", ["offers", "tags"])
def test_no_rule_lists_supplied_actions_by_what_is_declared_of_offers(word: str) -> None:
    words = refused(f"{{rule: cooldown, pause: 1d, on: {{{word}: [tea]}}}}")
    assert f"guardrails.one.on.{word}: supplied actions have no declared {word}" in words
    assert "action_id" in words


def test_no_rule_chooses_supplied_actions_by_stage() -> None:
    words = refused("{rule: cooldown, pause: 1d, except: {stages: [growth]}}")
    assert "guardrails.one.except.stages: supplied actions have no declared stages" in words


def test_a_rule_that_speaks_of_no_supplied_action_is_refused() -> None:
    words = refused("{rule: cooldown, pause: 1d, on: {channels: [email]}}")
    assert "it speaks of no action" in words
    assert "it speaks of no action" in refused(
        "{rule: cooldown, pause: 1d, on: {kinds: [service]}}"
    )


@pytest.mark.parametrize(("default", "fits"), [(-1, True), (0.5, True), (1.01, False), (-3, False)])
def test_a_default_is_a_reward_that_could_have_come(default: float, fits: bool) -> None:
    agent = LOOP.replace("aggregate: first", f"aggregate: first\n    default: {default}")
    if fits:
        assert loop(agent=agent).agent.outcomes["reward"].default == default
    else:
        assert f"0 or a value from -1 to 1, as of the events, got {default:g}" in refused(
            agent=agent
        )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("channel: site", "channel: sit", "supplied.channel: 'sit' is no channel; did you mean"),
        ("age: user.age", "agee: user.age", "supplied.fields.agee: 'agee' is no customer field"),
        ("user.id", "user..id", "supplied.customer: expected names with '.' between them"),
        ("customer: user.id", "at_most: 51", "supplied.at_most: expected less than or equal to 50"),
        ("always_act: true\n", "", "always_act"),
        ("control: 0,", "control: 0.1,", "control"),
        ("supplied: {", "offers: {}\nsupplied_: {", "unknown word 'supplied_'"),
        ("always_act", "confirm: {within: 1h}\nalways_act", "confirm: expected no 'confirm'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(old: str, new: str, words: str) -> None:
    assert words in refused(agent=LOOP.replace(old, new))


@pytest.mark.parametrize(
    ("channel", "word"),
    [
        ("{windows: {day: {from: '08:00', to: '12:00'}}}", "without 'windows'"),
        ("{placements: [hero]}", "without 'placements'"),
        ("{quiet_hours: {from: '20:00', to: '08:00', on_hit: queue}}", "without 'on_hit: queue'"),
    ],
)
def test_the_channel_shows_at_once(channel: str, word: str) -> None:
    workspace = WORKSPACE.replace("{cost: 0.5}", channel)
    assert f"supplied.channel: expected a channel {word}" in refused(workspace=workspace)


def test_a_required_field_must_come_with_requests() -> None:
    needed = WORKSPACE.replace("zone: {type: zone}", "zone: {type: zone, required: true}")
    words = refused(workspace=needed)
    assert "requires the customer field 'zone'" in words
    assert "fields: {zone: user.zone}" in words
    mapped = LOOP.replace("fields: {", "fields: {zone: user.tz, ")
    assert loop(agent=mapped, workspace=needed)


def test_managed_groups_have_no_place_beside_a_loop() -> None:
    known = "age: {type: integer}\n  arm: {type: category, values: [treatment, control, random]}"
    workspace = WORKSPACE.replace("age: {type: integer}", known)
    words = refused(agent=LOOP.replace("random: 0}", "managed: arm}"), workspace=workspace)
    assert "holdout.managed: expected no managed groups beside 'supplied'" in words


def test_a_universal_control_gets_nothing_of_a_loop_either() -> None:
    held = loop(workspace=WORKSPACE + "universal_control: {share: 1}\n")
    supplied = supply([], {"tea": [{}], "cake": [{}]})
    offered = held.offering(supplied.actions)
    context = replace(offered.context("ann", datetime(2026, 3, 2, 12, tzinfo=UTC), {}),
                      supplied=supplied)  # fmt: skip
    assert offered.group(context) == "control"
    drawn = decide(offered, Uniform.create(offered), context, decision_id="d", secret=b"s")
    assert (drawn.action_id, drawn.propensity) == ("none", 1.0)


@pytest.mark.parametrize("where", ["agent", "workspace"])
def test_only_a_loop_may_suppress_actions(where: str) -> None:
    rule = "guardrails: {one: {rule: action_suppression, when: action.x == 1}}\n"
    agent = OFFERS + (rule if where == "agent" else "")
    words = refused(agent=agent, workspace=WORKSPACE + (rule if where == "workspace" else ""))
    assert "guardrails.one.rule: action_suppression is for an agent with 'supplied'" in words


def test_wrong_expressions_of_other_rules_are_found_at_load() -> None:
    assert "customer.age" in refused("{rule: eligibility, when: customer.agee > 3}")
    assert "customer.age" in refused(agent=f"{LOOP}audience: customer.agee > 3\n")


def written(folder: Path, workspace: str = WORKSPACE, **agents: str) -> LoadedWorkspace:
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(workspace)
    for name, text in agents.items():
        (folder / "agents" / f"{name}.yaml").write_text(text)
    return load_workspace(folder)


def advice(loaded: LoadedWorkspace) -> Iterator[str]:
    return (str(each) for each in advise(loaded, NOON))


def test_a_loop_in_order_has_no_advice(tmp_path: Path) -> None:
    assert list(advice(written(tmp_path / "w", front=LOOP, seller=OFFERS))) == []
    with example_folder("personalizer") as folder:
        assert list(advice(load_workspace(folder))) == []


@pytest.mark.parametrize(
    ("workspace", "agent", "field"),
    [
        (WORKSPACE.replace("{cost: 0.5}", "{consent: asked}"), "asked: user.asked", "asked"),
        (WORKSPACE.replace("{cost: 0.5}", "{opt_out: asked}"), "asked: user.asked", "asked"),
        (WORKSPACE + "opt_out: asked\n", "asked: user.asked", "asked"),
        (
            WORKSPACE.replace("{cost: 0.5}", "{quiet_hours: {from: '20:00', to: '08:00'}}"),
            "asked: user.asked",
            "zone",
        ),
        (
            WORKSPACE + "guardrails: {old: {rule: eligibility, when: customer.age > 17}}\n",
            "age: user.age",
            "age",
        ),
    ],
)
def test_a_field_that_no_request_says_is_advised(
    tmp_path: Path, workspace: str, agent: str, field: str
) -> None:
    fields = ", ".join(part for part in ("age: user.age", "asked: user.asked") if part != agent)
    front = LOOP.replace("age: user.age, asked: user.asked", fields)
    found = list(advice(written(tmp_path / "w", workspace, front=front)))
    assert len(found) == 1
    assert f"it asks for customer.{field}, which no request of agent front says" in found[0]


@pytest.mark.parametrize(
    ("rule", "idle"),
    [
        ("frequency_cap, max: 1, per: 1d", True),
        ("cooldown, pause: 1d", True),
        ("frequency_cap, max: 1, per: 1d, for: total", False),
        ("budget, max: 1, per: day", False),
        ("action_suppression, when: action.x == 1", False),
    ],
)
def test_rules_of_one_customer_need_to_know_the_customer(
    tmp_path: Path, rule: str, idle: bool
) -> None:
    front = LOOP.replace("customer: user.id, ", "") + f"guardrails: {{one: {{rule: {rule}}}}}\n"
    found = list(advice(written(tmp_path / "w", front=front)))
    assert len(found) == idle
    assert all("every request is of a customer of its own" in words for words in found)


def test_rules_of_others_are_not_for_the_loop_to_advise(tmp_path: Path) -> None:
    shared = WORKSPACE + "guardrails: {old: {rule: cooldown, pause: 1d}}\n"
    seller = OFFERS + "guardrails: {own: {rule: cooldown, pause: 2d, scope: all}}\n"
    front = LOOP.replace("customer: user.id, ", "")
    assert list(advice(written(tmp_path / "w", shared, front=front, seller=seller))) == []


def test_an_action_suppression_that_bars_everybody_is_advised(tmp_path: Path) -> None:
    schema = WORKSPACE.replace("{type: integer}", "{type: integer, min: 0, max: 120}")
    rule = "guardrails: {one: {rule: action_suppression, when: customer.age >= 0}}\n"
    (words,) = advice(written(tmp_path / "w", schema, front=LOOP + rule))
    assert "is false for no customer, so it bars all that it speaks of" in words


def test_a_difference_is_told_in_words(tmp_path: Path) -> None:
    rule = "guardrails: {one: {rule: action_suppression, when: action.x == %d}}\n"
    changed = (rule % 2).join([LOOP.replace("at_most: 50", ""), ""]).replace("cost: 1,", "cost: 2,")
    old = written(tmp_path / "old", front=LOOP + rule % 1)
    new = written(tmp_path / "new", front=changed)
    words = [change.words for change in diff(old, new)]
    assert words == [
        "guardrail one changed: when action.x == 1 -> action.x == 2",
        "supplied.cost: 1 -> 2",
    ]


def test_from_offers_to_supplied_actions(tmp_path: Path) -> None:
    old = written(tmp_path / "old", front=OFFERS.replace("seller", "front"))
    new = written(tmp_path / "new", front=LOOP)
    words = [change.words for change in diff(old, new)]
    assert "offer pasta removed" in words
    assert not any("*" in each for each in words)
    customers = pa.table({"customer": ["ann"]})
    (gone,) = impact(old, new, customers, NOON)
    assert (gone.action, gone.gained, gone.lost) == ("pasta/a@site", 0, 1)
    assert impact(new, new, customers, NOON) == []


def test_a_table_of_customers_is_refused() -> None:
    with pytest.raises(ContextError, match="POST /loops/front/personalizer/v1.0/rank"):
        mask_table(loop(), pa.table({"customer": ["ann"]}), at=NOON)


def test_the_rules_on_the_tour_load() -> None:
    page = (Path(__file__).parents[2] / "docs" / "workspace.md").read_text("utf-8")
    section = page.split("### Actions that come with requests")[1]
    rules = section.split("```yaml\n")[1].split("```")[0]
    revision = loop(agent=LOOP + "guardrails:\n" + indent(rules, "  "))
    assert len(revision.agent.guardrails) == 3
