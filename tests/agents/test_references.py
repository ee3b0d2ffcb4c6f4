"""Whatever a document refers to exists, or the error leads there: place, words, nearest name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agents.errors import DocumentError
from agents.load import compile_agent, load_workspace, parse_workspace
from agents.loading.rule_references import IMPLIED
from agents.revision import Revision
from agents.spec import Workspace
from agents.yamlsource import read_yaml

Replaced = Callable[[str, str, str], str]
Place = Callable[[str, str], str]
Refused = Callable[..., None]
WORKSPACE = """\
workspace: small
currency: EUR
zone: Europe/Berlin
customer:
  age: {type: integer, min: 0, max: 120}
  group: {type: category, values: [treatment, control, random]}
  plan: {type: category, values: [basic, plus]}
  tongue: {type: text}
  complaint: {type: boolean}
  time_zone: {type: zone}
channels:
  email: {opt_out: complaint, cost: 1}
  site: {placements: [banner, hero]}
events:
  opened: {}
opt_out: complaint
locales: {field: tongue, default: en}
guardrails:
  policy: {rule: frequency_cap, max: 3, per: 14d}
"""
AGENT = """\
agent: helper
outcomes:
  bought: {value: 10, window: 7d}
  paid: {event: payment, value: 5, window: 7d}
offers:
  help:
    kind: service
    tags: [spring]
    variants: {v: {text: Help}}
    channels: [email, site]
    placements: [banner]
  sale:
    kind: promotion
    variants: {v: {text: Buy}}
    channels: [email]
  both:
    kind: promotion
    includes: [help, sale]
    variants: {v: {text: Both}}
    channels: [email]
guardrails:
  own: {rule: cooldown, pause: 1d}
holdout: {managed: group}
"""
OWN = "{rule: cooldown, pause: 1d}"


def parsed(text: str) -> Workspace:
    return parse_workspace(read_yaml(text, "f.yaml"))


def compiled(text: str) -> Revision:
    return compile_agent(text, "f.yaml", parsed(WORKSPACE))


def test_what_refers_to_nothing_unknown_loads() -> None:
    assert len(compiled(AGENT).actions) == 5


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("opt_out: complaint, ", "opt_out: complain, ", "opt_out", "at channels.email.opt_out:"
         " 'complain' is no boolean customer field; did you mean 'complaint'?"),
        ("\nopt_out: complaint", "\nopt_out: age", "opt_out: age", "at opt_out: 'age' is no boolean"
         " customer field; use one of: complaint"),
        ("cost: 1}", "cost: 1, consent: complaint}", "opt_out", "at channels.email.opt_out:"
         " 'complaint' must be false here and true at channels.email.consent, so nobody could be"
         " reached by email"),
        ("per: 14d}", "per: 14d}\n  w: {rule: sequence, steps: [{channels: [email]}, {}], within:"
         " 1d, restart: 2d}", "{}], within", "at guardrails.w.steps.1: expected at least one"
         " of kinds"),
        ("per: 14d}", "per: 14d}\n  w: {rule: suppression, when: customer.plan == 'pluss'}", "when",
         "at guardrails.w.when: 'pluss' is no value of customer.plan; did you mean 'plus'?"),
        ("field: tongue", "field: age", "field", "at locales.field: 'age' is no category or text"
         " customer field; use one of: group, plan, tongue"),
        ("policy: {", "consent: {", "consent", "at guardrails.consent: 'consent' is the name of a"
         " guardrail that is always there; choose another"),
        ("per: 14d}", "per: 14d, on: {channels: [emial]}}", "emial", "at"
         " guardrails.policy.on.channels.0: 'emial' is no channel; did you mean 'email'?"),
        ("per: 14d}", "per: 14d, except: {offers: [help]}}", "offers", "at"
         " guardrails.policy.except.offers: a workspace's frequency_cap counts contacts of every"
         " agent, of which only kind and channel are known; select by kinds or channels, not by"
         " offers"),
        ("per: 14d}", "per: 14d}\n  w: {rule: suppression, when: customer.complain}", "when",
         "at guardrails.w.when: 1:9: undeclared reference to 'customer.complain'; did you mean"
         " 'customer.complaint'?"),
        ("opt_out: complaint, cost", "quiet_hours: {from: 20:00, to: 08:00}, windows: {night:"
         " {from: 22:00, to: 06:00}}, cost", "night", "at channels.email.windows.night:"
         " channels.email.quiet_hours covers this window whole, so nothing could ever be sent in"
         " it"),
        ("opt_out: complaint, cost", "quiet_hours: {from: 00:00, to: 23:59, days: [sat, sun]},"
         " windows: {brunch: {from: 10:00, to: 12:00, days: [sun]}}, cost", "brunch", "at"
         " channels.email.windows.brunch: channels.email.quiet_hours covers"),
        ("locales:", "arbitration: {context: {vip: {when: customer.ag > 3, agents: [helper],"
         " weight: 2}}}\nlocales:", "when", "at arbitration.context.vip.when: 1:9: undeclared"
         " reference to 'customer.ag'; did you mean 'customer.age'?"),
    ],
)  # fmt: skip
def test_a_workspace_refers_only_to_what_it_declares(
    refused: Refused, old: str, new: str, mark: str, message: str
) -> None:
    refused(parsed, WORKSPACE, old, new, mark, message)


def test_a_window_beside_the_quiet_hours_is_no_fault(replaced: Replaced) -> None:
    new = "quiet_hours: {from: 20:00, to: 08:00}, windows: {w: {from: 19:00, to: 06:00}}, cost"
    text = replaced(WORKSPACE, "opt_out: complaint, cost", new)
    assert parsed(text).channels["email"].windows


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("[banner]", "[baner]", "baner", "at offers.help.placements.0: 'baner' is no placement of a"
         " channel of this offer; did you mean 'banner'?"),
        ("[help, sale]", "[help, sales]", "sales", "at offers.both.includes.1: 'sales' is no offer;"
         " did you mean 'sale'?"),
        ("[help, sale]", "[both]", "both]", "at offers.both.includes.0: an offer cannot include"
         " itself"),
        ("kind: promotion\n    variants: {v: {text: Buy}}",
         "kind: promotion\n    includes: [both]\n    variants: {v: {text: Buy}}", "both]",
         "at offers.sale.includes.0: 'both' is a bundle itself; include the offers that it"
         " includes"),
        ("kind: service", "kind: service\n    fallback: true", "help, sale", "at"
         " offers.both.includes.0: 'help' is a fallback, offered only when nothing else is"),
        ("bought: {", "opened: {", "opened", "at outcomes.opened: 'opened' is an event of the"
         " workspace already; an outcome needs its own word"),
        ("event: payment", "event: opened", "event", "at outcomes.paid.event: 'opened' is an event"
         " of the workspace already; an outcome needs its own word"),
        ("event: payment, value: 5", "event: bought, value: -5", "event", "at outcomes.paid.event:"
         " outcome 'bought' takes the event 'bought' for a response, this one for a rejection; say"
         " 'counts_as' in both"),
        ("managed: group", "managed: grup", "managed", "at holdout.managed: 'grup' is no category"
         " customer field; did you mean 'group'?"),
        ("managed: group", "managed: plan", "managed", "at holdout.managed: expected 'plan' to have"
         " the values treatment, control, random, got basic, plus"),
        ("own: {", "policy: {", "policy: {", "at guardrails.policy: the workspace has a guardrail"
         " named 'policy' already"),
        ("kind: service", "kind: service\n    applicable: customer.ag > 1", "applicable",
         "at offers.help.applicable: 1:9: undeclared reference to 'customer.ag'; did you mean"
         " 'customer.age'?"),
        ("kind: service", "kind: service\n    suitable: customer.age", "suitable",
         "at offers.help.suitable: expected an expression that is true or false, got INT"),
        (OWN, "{rule: cooldown, pause: 1d, on: {offers: [hepl]}}", "hepl", "at"
         " guardrails.own.on.offers.0: 'hepl' is no offer; did you mean 'help'?"),
        (OWN, "{rule: cooldown, pause: 1d, except: {tags: [srping]}}", "srping", "at"
         " guardrails.own.except.tags.0: 'srping' is no tag of an offer; did you mean 'spring'?"),
        (OWN, "{rule: cooldown, pause: 1d, on: {kinds: [retention]}}", "on:", "at"
         " guardrails.own.on: it speaks of no action of this agent; no offer fits all that is"
         " listed"),
        (OWN, "{rule: cooldown, pause: 1d, on: {offers: [sale], channels: [site]}}", "on:", "at"
         " guardrails.own.on: it speaks of no action of this agent"),
        (OWN, "{rule: cooldown, pause: 1d, except: {kinds: [service, promotion]}}", "except", "at"
         " guardrails.own.except: it speaks of no action of this agent"),
        (OWN, "{rule: cooldown, pause: 1d, except: {stages: [winback]}}", "except", "at"
         " guardrails.own.except: it speaks of no action of this agent"),
        (OWN, "{rule: cooldown, pause: 1d, after: [paid]}", "paid]", "at guardrails.own.after.0:"
         " 'paid' is no outcome, and no event of the workspace;"),
        (OWN, "{rule: event_suppression, after: [bough]}", "bough]", "at guardrails.own.after.0:"
         " 'bough' is no outcome, and no event of the workspace; did you mean 'bought'?"),
        (OWN, "{rule: precedence, order: [service, promotion], after: [opend], within: 1d}",
         "opend", "at guardrails.own.after.0: 'opend' is no outcome, and no event of the workspace;"
         " did you mean 'opened'?"),
        (OWN, "{rule: precedence, order: [service, promotion], when: customer.complain}", "when",
         "at guardrails.own.when: 1:9: undeclared reference to 'customer.complain'"),
        (OWN, "{rule: escalation, from: email, to: sms, unless: [opened], wait: 1d, within: 2d}",
         "to: sms", "at guardrails.own.to: 'sms' is no channel; use one of: email, site"),
        (OWN, "{rule: escalation, from: emial, to: site, unless: [opened], wait: 1d, within: 2d}",
         "from: emial", "at guardrails.own.from: 'emial' is no channel; did you mean 'email'?"),
        (OWN, "{rule: escalation, from: email, to: site, unless: [opned], wait: 1d, within: 2d}",
         "opned", "at guardrails.own.unless.0: 'opned' is no outcome, and no event of the"
         " workspace; did you mean 'opened'?"),
        (OWN, "{rule: sequence, steps: [{offers: [help]}, {stages: [winback]}], within: 2d,"
         " restart: 9d}", "{stages", "at guardrails.own.steps.1: it speaks of no action of this"
         " agent"),
        (OWN, "{rule: sequence, steps: [{offers: [hlp]}, {offers: [sale]}], within: 2d, restart:"
         " 9d}", "hlp", "at guardrails.own.steps.0.offers.0: 'hlp' is no offer; did you mean"
         " 'help'?"),
        (OWN, "{rule: sequence, steps: [{offers: [help]}, {offers: [sale]}], within: 2d, restart:"
         " 9d, until: [xyz]}", "xyz", "at guardrails.own.until.0: 'xyz' is no outcome, and no"
         " event of the workspace; use one of: bought, opened, payment"),
        (OWN, "{rule: exclusion_list, file: vip.txt}", "file", "at guardrails.own.file: a file is"
         " read only from a workspace's folder, never from a request; list the ids in"
         " 'customers'"),
    ],
)  # fmt: skip
def test_an_agent_refers_only_to_what_is_there(
    refused: Refused, old: str, new: str, mark: str, message: str
) -> None:
    refused(compiled, AGENT, old, new, mark, message)


@pytest.mark.parametrize("name", IMPLIED)
def test_no_guardrail_takes_the_name_of_one_that_is_always_there(
    replaced: Replaced, name: str
) -> None:
    with pytest.raises(DocumentError, match="is the name of a guardrail that is always there"):
        compiled(replaced(AGENT, "own: {", f"{name}: {{"))


def folder(path: Path, workspace: str, agents: Mapping[str, str]) -> Path:
    (path / "agents").mkdir(parents=True)
    (path / "workspace.yaml").write_text(workspace, encoding="utf-8")
    for name, text in agents.items():
        (path / "agents" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rule", "mark", "message"),
    [
        ("{rule: cooldown, pause: 1d, after: [paymnt]}", "paymnt", "guardrails.w.after.0: 'paymnt'"
         " is no outcome, and no event of the workspace; did you mean 'payment'?"),
        ("{rule: exclusive, agents: [helper, seler], for: 1d}", "seler", "guardrails.w.agents.1:"
         " 'seler' is no agent; did you mean 'seller'?"),
        ("{rule: exclusive, agents: [helper, helper], for: 1d}", "helper], for", "guardrails.w"
         ".agents.1: 'helper' is listed twice"),
        ("{rule: suppression, when: customer.complaint, except: {tags: [sprng]}}", "sprng",
         "guardrails.w.except.tags.0: 'sprng' is no tag of an offer; did you mean 'spring'?"),
        ("{rule: eligibility, when: customer.complaint, on: {offers: [slae]}}", "slae",
         "guardrails.w.on.offers.0: 'slae' is no offer; did you mean 'sale'?"),
        ("{rule: cooldown, pause: 1d}\narbitration: {levers: {helpr: 2}}", "helpr",
         "arbitration.levers.helpr: 'helpr' is no agent; did you mean 'helper'?"),
        ("{rule: cooldown, pause: 1d}\narbitration: {context: {c: {when: customer.complaint,"
         " agents: [selr], weight: 2}}}", "selr", "arbitration.context.c.agents.0: 'selr' is no"
         " agent; did you mean 'seller'?"),
        ("{rule: event_suppression, after: [bought], for: 60d}\nretention: 50d", "retention",
         "retention: w of agent 'helper' looks back 60d, and contacts and events are kept for 50d;"
         " expected 'retention' to be longer"),
        ("{rule: cooldown, pause: 1d}\nretention: 29d", "retention", "retention: the learner of"
         " agent 'helper' looks back 30d, and contacts and events are kept for 29d;"),
    ],
)  # fmt: skip
def test_what_a_workspace_says_of_agents_is_checked_with_all_of_them(
    replaced: Replaced, place: Place, tmp_path: Path, rule: str, mark: str, message: str
) -> None:
    text = f"{WORKSPACE}  w: {rule}\n"
    other = replaced(AGENT, "agent: helper", "agent: seller")
    path = folder(tmp_path / "shop", text, {"helper": AGENT, "seller": other})
    with pytest.raises(DocumentError) as caught:
        load_workspace(path)
    expected = f"shop/workspace.yaml:{place(text, mark)}: at {message}"
    assert str(caught.value).startswith(expected)


def test_an_agent_that_excludes_an_unknown_one_is_found_with_the_others(
    replaced: Replaced, place: Place, tmp_path: Path
) -> None:
    text = replaced(AGENT, OWN, "{rule: exclusive, agents: [helper, seler], for: 1d}")
    assert compiled(text)
    other = replaced(AGENT, "agent: helper", "agent: seller")
    path = folder(tmp_path / "shop", WORKSPACE, {"helper": text, "seller": other})
    with pytest.raises(DocumentError) as caught:
        load_workspace(path)
    where = f"shop/agents/helper.yaml:{place(text, 'seler')}: at guardrails.own.agents.1:"
    assert str(caught.value) == f"{where} 'seler' is no agent; did you mean 'seller'?"
