"""Every rule by hand: a lawful log has no breach, and the least broken one has exactly one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from agents.checker import check_log
from agents.load import load_workspace
from agents.log import hash_customer, log_table

KEY = b"key"
START = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
WORKSPACE = """
workspace: small
currency: EUR
zone: UTC
customer:
  ok: {type: boolean}
  stop: {type: boolean}
  name: {type: text}
  language: {type: category, values: [en, de-AT]}
  arm: {type: category, values: [treatment, control, random]}
  time_zone: {type: zone}
channels:
  sms: {cost: 0.5SMS}
  push: {cost: 0.25}
  mail: {windows: {monday: {from: "09:00", to: "10:00", days: [mon]}}}
  web: {placements: [home, cart]}
locales: {field: language, default: en}
events: {opened: {counts_as: response}, bounced: {counts_as: failure}}
"""
AGENT = """
agent: NAME
outcomes: {bought: {value: 10, window: 7d}, angry: {value: -5, window: 7d}}
offers:
  help: {kind: service, variants: {a: {text: Help}}, channels: [sms, push, mail, web]HELP}
  sale: {kind: promotion, cost: 2, variants: {a: {text: Buy}}, channels: [sms, push]SALE}
  pack: {kind: promotion, includes: [sale], variants: {a: {text: Both}}, channels: [sms]}
  read: {kind: education, variants: {a: WORDS}, channels: [push, web]READ}
"""
KNOWN = {"ok": True, "stop": False, "time_zone": "Europe/Berlin"}
HELP, SALE, PACK, READ = "help/a@sms", "sale/a@sms", "pack/a@sms", "read/a@push"


class Case(NamedTuple):
    """What is written, a plan that keeps to it, one that does not, and what is found then.

    A plan has, for each decision: hours since the start, the action, and what else is known.
    """

    documents: dict[str, str]
    lawful: list[tuple[Any, ...]]
    broken: list[tuple[Any, ...]]
    guardrail: str
    detail: str


def rule(text: str) -> dict[str, str]:
    return {"guardrails": f"{{x: {{rule: {text}}}}}"}


def event(hours: float, word: str, number: int | None = None, action: str = HELP) -> dict[str, Any]:
    """What a customer did, after the decision of a number if one is given."""
    at = (START + timedelta(hours=hours)).isoformat()
    if number is None:
        return {"at": at, "event": word}
    offer, channel = action.partition("/")[0], action.partition("@")[2]
    kind = {"help": "service", "sale": "promotion", "pack": "promotion", "read": "education"}[offer]
    return {
        "at": at, "event": word, "decision_id": f"d{number}", "agent": "own", "action": action,
        "offer": offer, "kind": kind, "channel": channel,
        "includes": ["sale"] if offer == "pack" else [],
    }  # fmt: skip


def write(folder: Path, documents: dict[str, str]) -> Path:
    def fill(text: str) -> str:
        for slot in ("SMS", "HELP", "SALE", "READ"):
            text = text.replace(slot, documents.get(slot, ""))
        return text.replace("WORDS", documents.get("WORDS", "{text: Read}"))

    (folder / "agents").mkdir(parents=True)
    more = f"\n{documents['shared']}\n" if "shared" in documents else ""
    (folder / "workspace.yaml").write_text(fill(WORKSPACE) + more)
    own = "".join(f"{k}: {v}\n" for k, v in documents.items() if k.islower() and k != "shared")
    for name in ("own", "other"):
        text = fill(AGENT).replace("NAME", name) + (own if name == "own" else "")
        (folder / "agents" / f"{name}.yaml").write_text(text)
    return folder


def hand_made(plan: list[tuple[Any, ...]]) -> pa.Table:
    """A log in which every action of a plan had an even chance and was drawn."""
    rows: list[dict[str, Any]] = []
    contacts: dict[str, list[dict[str, Any]]] = {}
    before = 0
    for number, (hours, action, *more) in enumerate(plan):
        extra: dict[str, Any] = dict(more[0]) if more else {}
        at, customer = START + timedelta(hours=hours), extra.pop("customer", "ann")
        send_at = None if action == "none" else START + timedelta(hours=extra.pop("send", hours))
        others, before = extra.pop("others", {}), extra.pop("position", before)
        actions = list(dict.fromkeys(["none", action, *others]))
        context = {
            "features": KNOWN | extra.pop("features", {}),
            "contacts": sorted(contacts.get(customer, []), key=lambda c: str(c["at"])),
            "events": extra.pop("events", []), "usage": extra.pop("usage", {}),
            "placement": extra.pop("placement", ""),
        }  # fmt: skip
        context |= extra.pop("context", {})
        row = {
            "position": before + number, "decision_id": f"d{number}", "at": at, "agent": "own",
            "revision": "r", "policy": "uniform", "snapshot": "", "group": "treatment",
            "reason": "policy" if action != "none" or others == {} else "all_barred",
            "customer": hash_customer(KEY, customer), "context": json.dumps(context),
            "actions": actions, "mask": [others.get(name) for name in actions],
            "expected": [None] * len(actions), "action": action, "floor": 1.0, "explored": False,
            "send_at": send_at, "outcomes": [], "reward": 0.0, "closed_at": None,
        } | extra  # fmt: skip
        chance = 1.0 / sum(reason is None for reason in row["mask"])
        row["distribution"] = [chance if reason is None else 0.0 for reason in row["mask"]]
        row["propensity"] = chance
        rows.append(row)
        if send_at is not None:
            entry = event(0, "", number, action) | {
                "at": send_at.isoformat(),
                "agent": row["agent"],
            }
            del entry["event"]
            contacts.setdefault(customer, []).append(entry)
    return log_table(rows)


def other(**more: Any) -> dict[str, Any]:
    return {"agent": "other", **more}


LATER = {"position": 100}  # what came before is not in the log
NUMBER = START.toordinal()
HOUR = int(START.timestamp()) // 3_600
CASES = {
    "eligibility": Case(
        rule("eligibility, when: customer.ok, except: {offers: [sale]}"),
        [(0, HELP), (1, SALE, {"features": {"ok": False}})],
        [(0, HELP, {"features": {"ok": None}})],
        "x", "help/a@sms: customer.ok is not true",
    ),
    "eligibility_now": Case(
        rule("eligibility, when: \"now < timestamp('2026-03-03T00:00:00Z')\""),
        [(11.9, HELP)], [(12, HELP)],
        "x", "help/a@sms: now < timestamp('2026-03-03T00:00:00Z') is not true",
    ),
    "suppression": Case(
        rule("suppression, when: customer.ok, on: {kinds: [service]}"),
        [(0, HELP, {"features": {"ok": False}}), (1, SALE)],
        [(0, HELP)],
        "x", "help/a@sms: customer.ok is not false",
    ),
    "audience": Case(
        {"audience": "customer.ok"}, [(0, HELP)], [(0, HELP, {"features": {"ok": False}})],
        "audience", "help/a@sms: customer.ok is not true",
    ),
    "eligible": Case(
        {"SALE": ", eligible: customer.ok"}, [(0, HELP, {"features": {"ok": False}})],
        [(0, PACK, {"features": {"ok": False}})],
        "eligible", "pack/a@sms: customer.ok is not true",
    ),
    "applicable": Case(
        {"HELP": ", applicable: customer.ok"}, [(0, HELP)],
        [(0, HELP, {"features": {"ok": False}})],
        "applicable", "help/a@sms: customer.ok is not true",
    ),
    "suitable": Case(
        {"HELP": ", suitable: customer.ok"}, [(0, HELP)],
        [(0, HELP, {"features": {"ok": False}})],
        "suitable", "help/a@sms: customer.ok is not true",
    ),
    "opt_out": Case(
        {"shared": "opt_out: stop"}, [(0, HELP)], [(0, HELP, {"features": {"stop": None}})],
        "opt_out", "help/a@sms: customer.stop is None",
    ),
    "channel_opt_out": Case(
        {"SMS": ", opt_out: stop"}, [(0, READ, {"features": {"stop": True}})],
        [(0, HELP, {"features": {"stop": True}})],
        "opt_out", "help/a@sms: customer.stop is True",
    ),
    "consent": Case(
        {"SMS": ", consent: ok"}, [(0, READ, {"features": {"ok": False}}), (1, HELP)],
        [(0, HELP, {"features": {"ok": False}})],
        "consent", "help/a@sms: customer.ok is False",
    ),
    "dates": Case(
        {"SALE": ", start: 2026-03-03, end: 2026-03-04"}, [(12, SALE), (59.9, PACK)],
        [(60, PACK)],
        "dates", "pack/a@sms: it would be sent on 2026-03-05",
    ),
    "placement": Case(
        {"HELP": ", placements: [cart]"},
        [(0, HELP), (1, "help/a@web", {"placement": "cart"}),
         (2, "read/a@web", {"placement": "home"})],
        [(0, "help/a@web", {"placement": "home"})],
        "placement", "help/a@web: the slot asked for is 'home'",
    ),
    "placement_of_none": Case(
        {}, [(0, HELP)], [(0, HELP, {"placement": "nowhere"})],
        "placement", "help/a@sms: the slot asked for is 'nowhere'",
    ),
    "content": Case(
        {"WORDS": "{text: 'Read, {{ customer.name }}', locales: {de: {text: Lies}}}"},
        [(0, READ, {"features": {"name": "Ann"}}), (1, READ, {"features": {"language": "de-AT"}})],
        [(0, READ, {"features": {"language": "en"}})],
        "content", "read/a@push: customer.name is written but unknown",
    ),
    "quiet_hours": Case(
        {"SMS": ", quiet_hours: {from: '20:00', to: '08:00', days: [mon]}"},
        [(6.9, HELP), (19, SALE), (31, HELP)],  # 19:54, Tuesday 08:00, Tuesday 20:00 in Berlin
        [(18.9, HELP)],
        "quiet_hours", "help/a@sms: sms is quiet at Tue 07:54",
    ),
    "quiet_hours_unknown": Case(
        {"SMS": ", quiet_hours: {from: '20:00', to: '08:00'}"}, [(0, HELP)],
        [(0, HELP, {"features": {"time_zone": "Mars"}})],
        "quiet_hours", "help/a@sms: the customer's time zone is unknown",
    ),
    "queue": Case(
        {"SMS": ", quiet_hours: {from: '20:00', to: '08:00', on_hit: queue}"},
        [(0, HELP), (8, HELP, {"send": 19})],
        [(8, HELP)],
        "send_at",
        "expected help/a@sms to be sent at 2026-03-03 07:00:00+00:00, got"
        " 2026-03-02 20:00:00+00:00",
    ),
    "window": Case(
        {}, [(0, "help/a@mail#monday", {"send": 164})], [(0, "help/a@mail#monday", {"send": 0})],
        "send_at",
        "expected help/a@mail#monday to be sent at 2026-03-09 08:00:00+00:00,"
        " got 2026-03-02 12:00:00+00:00",
    ),
    "stock": Case(
        {"SALE": ", stock: {max: 2}"},
        [(0, SALE, {"usage": {"stock:own/sale@0": 0}}),
         (1, PACK, {"usage": {"stock:own/sale@0": 1}}), (2, HELP)],
        [(0, SALE, {"usage": {"stock:own/sale@0": 0}}),
         (1, PACK, {"usage": {"stock:own/sale@0": 1}}),
         (2, SALE, {"usage": {"stock:own/sale@0": 2}})],
        "stock", "sale/a@sms: 2 of 2 is used (stock:own/sale)",
    ),
    "capacity": Case(
        {"SMS": ", capacity: {max: 1, per: day}"},
        [(0, HELP, other(usage={f"capacity:sms per day@{NUMBER}": 0})), (1, READ),
         (12, SALE, {"usage": {f"capacity:sms per day@{NUMBER + 1}": 0}})],
        [(0, HELP, other(usage={f"capacity:sms per day@{NUMBER}": 0})),
         (11.9, SALE, {"usage": {f"capacity:sms per day@{NUMBER}": 1}, "customer": "bob"})],
        "capacity", "sale/a@sms: 1 of 1 is used (capacity:sms per day)",
    ),
    "cap": Case(
        rule("frequency_cap, max: 2, per: 1d, scope: kind"),
        [(0, HELP), (1, HELP, other()), (24, HELP), (24, SALE)],
        [(0, HELP), (1, HELP, other()), (23.9, HELP)],
        "x", "help/a@sms: 2 of 2 in 86400 s already (kind service)",
    ),
    "cap_ahead": Case(
        rule("frequency_cap, max: 1, per: 1d"),
        [(0, "help/a@mail#monday", {"send": 164}), (140, SALE)],
        [(0, "help/a@mail#monday", {"send": 164}), (140.1, SALE)],
        "x", "sale/a@sms: 1 of 1 in 86400 s already (all)",
    ),
    "cap_bundle": Case(
        rule("frequency_cap, max: 1, per: 1d, scope: offer"),
        [(0, PACK), (1, HELP), (24, SALE), (48, PACK)],
        [(0, SALE), (23, PACK)],
        "x", "pack/a@sms: 1 of 1 in 86400 s already (offer sale)",
    ),
    "cap_action": Case(
        rule("frequency_cap, max: 1, per: 1d, scope: action"),
        [(0, HELP), (1, "help/a@push"), (2, HELP, other())],
        [(0, HELP), (1, HELP)],
        "x", "help/a@sms: 1 of 1 in 86400 s already (action help/a@sms)",
    ),
    "cap_selected": Case(
        rule("frequency_cap, max: 1, per: 1d, on: {channels: [sms]}"),
        [(0, READ), (1, HELP), (2, READ)],
        [(0, HELP, other()), (1, SALE)],
        "x", "sale/a@sms: 1 of 1 in 86400 s already (all)",
    ),
    "cap_sent_along": Case(
        rule("frequency_cap, max: 1, per: 1d, on: {offers: [sale]}"),
        [(0, PACK), (1, HELP), (24, SALE)], [(0, PACK), (23, SALE)],
        "x", "sale/a@sms: 1 of 1 in 86400 s already (all)",
    ),
    "bundle_barred_by_a_part": Case(
        rule("eligibility, when: customer.ok, on: {offers: [sale]}"),
        [(0, PACK), (1, HELP, {"features": {"ok": False}})],
        [(0, PACK, {"features": {"ok": False}})],
        "x", "pack/a@sms: customer.ok is not true",
    ),
    "cooldown_crowded": Case(
        rule("cooldown, scope: all, times: 2, within: 1d, pause: 10d"),
        [(0, "help/a@mail#monday", {"send": 164}), (100, SALE), (130, SALE)],
        [(0, "help/a@mail#monday", {"send": 164}), (100, SALE), (110, HELP)],
        "x",
        "help/a@sms: with 2026-03-07 02:00:00+00:00 a pause would begin before what is planned",
    ),
    "cap_calendar": Case(
        rule("frequency_cap, max: 1, per: week, window: calendar, scope: agent"),
        [(0, HELP), (1, HELP, other()), (156, HELP)],
        [(0, HELP), (155.9, HELP)],
        "x", "help/a@sms: 1 of 1 in week already (agent)",
    ),
    "cap_delivery": Case(
        rule("frequency_cap, max: 1, per: 1d, counts: delivery"),
        [(0, HELP), (1, SALE, {"events": [event(0.5, "bounced", 0)]})],
        [(0, HELP), (1, SALE, {"events": [event(0.5, "opened", 0)]})],
        "x", "sale/a@sms: 1 of 1 in 86400 s already (all)",
    ),
    "cap_response": Case(
        rule("frequency_cap, max: 1, per: 1d, counts: response, scope: channel"),
        [(0, HELP), (1, SALE), (2, READ, {"events": [event(1, "opened", 0), event(1, "angry", 1)]}),
         (25, SALE, {"events": [event(1, "opened", 0), event(1, "angry", 1)]})],
        [(0, HELP), (1, SALE), (24.9, SALE, {"events": [event(1, "bought", 0)]})],
        "x", "sale/a@sms: 1 of 1 in 86400 s already (channel sms)",
    ),
    "cap_total": Case(
        rule("frequency_cap, max: 1, per: 60h, for: total, scope: offer"),
        [(0, HELP, {"usage": {f"cap:own/x:own/help per 60h@{HOUR - 60}": 0}}),
         (1, SALE, {"usage": {f"cap:own/x:own/sale per 60h@{HOUR - 59}": 0}, "customer": "bob"}),
         (61, HELP, {"usage": {f"cap:own/x:own/help per 60h@{HOUR + 1}": 0}, "customer": "bob"})],
        [(0, HELP, {"usage": {f"cap:own/x:own/help per 60h@{HOUR - 60}": 0}}),
         (60, HELP, {"usage": {f"cap:own/x:own/help per 60h@{HOUR}": 1}, "customer": "bob"})],
        "x", "help/a@sms: 1 of 1 is used (cap:own/x:own/help per 60h)",
    ),
    "cooldown": Case(
        rule("cooldown, pause: 1d"),
        [(0, PACK), (1, HELP), (24, SALE)],
        [(0, PACK), (23, SALE)],
        "x",
        "sale/a@sms: a contact at 2026-03-02 12:00:00+00:00 pauses 2026-03-03"
        " 11:00:00+00:00 (offer sale)",
    ),
    "cooldown_rejection": Case(
        rule("cooldown, pause: 1d, scope: channel, after: rejection"),
        [(0, HELP), (2, READ, {"events": [event(1, "angry", 0)]}),
         (25, HELP, {"events": [event(1, "angry", 0)]})],
        [(0, HELP), (24, SALE, {"events": [event(1, "angry", 0)]})],
        "x",
        "sale/a@sms: an event at 2026-03-02 13:00:00+00:00 pauses 2026-03-03"
        " 12:00:00+00:00 (channel sms)",
    ),
    "cooldown_times": Case(
        rule("cooldown, pause: 1d, scope: all, after: [opened], times: 2, within: 2h"),
        [(3, HELP, {"events": [event(0, "opened"), event(2, "opened")]})],
        [(3, HELP, {"events": [event(0.1, "opened"), event(2, "opened")]})],
        "x",
        "help/a@sms: an event at 2026-03-02 14:00:00+00:00 pauses 2026-03-02"
        " 15:00:00+00:00 (all)",
    ),
    "event_suppression": Case(
        rule("event_suppression, after: [bought], for: 2d"),
        [(0, PACK), (2, HELP, {"events": [event(1, "bought", 0, PACK)]}),
         (49, SALE, {"events": [event(1, "bought", 0, PACK)]})],
        [(0, PACK), (48, SALE, {"events": [event(1, "bought", 0, PACK)]})],
        "x",
        "sale/a@sms: an event at 2026-03-02 13:00:00+00:00 pauses 2026-03-04"
        " 12:00:00+00:00 (offer sale)",
    ),
    "exclusion_list": Case(
        rule("exclusion_list, customers: [bob, eve]"), [(0, HELP)],
        [(0, HELP, {"customer": "bob"})],
        "x", "help/a@sms: the customer is on the list",
    ),
    "exclusive": Case(
        rule("exclusive, agents: [own, other], for: 1d"),
        [(0, HELP, other()), (24, HELP), (25, SALE)],
        [(0, HELP, other()), (23, HELP)],
        "x", "help/a@sms: other has the customer since 2026-03-02 12:00:00+00:00",
    ),
    "escalation": Case(
        rule("escalation, from: push, to: sms, unless: [opened], wait: 1h, within: 1d"),
        [(0, READ), (1, "help/a@push"), (2, HELP)],
        [(0, "help/a@push"), (0.9, HELP)],
        "x", "help/a@sms: no unanswered contact by push allows one at 2026-03-02 12:54:00+00:00",
    ),
    "escalation_answered": Case(
        rule("escalation, from: push, to: sms, unless: [opened], wait: 1h, within: 1d,"
             " scope: agent"),
        [(0, READ), (2, HELP)],
        [(0, READ), (2, HELP, {"events": [event(1, "opened", 0, READ)]})],
        "x", "help/a@sms: no unanswered contact by push allows one at 2026-03-02 14:00:00+00:00",
    ),
    "sequence": Case(
        rule("sequence, steps: [{offers: [help]}, {offers: [sale], after: 2h}, {offers: [read]}],"
             " within: 1d, restart: 3d, until: [angry]"),
        [(0, HELP), (2, SALE), (3, READ), (4, PACK), (72, HELP)],
        [(0, HELP), (2, SALE), (26, READ)],
        "x", "read/a@push: step 3 is not open at 2026-03-03 14:00:00+00:00; 2 are done",
    ),
    "sequence_ended": Case(
        rule("sequence, steps: [{offers: [help]}, {offers: [sale]}], within: 1d, restart: 3d,"
             " until: [angry]"),
        [(0, HELP), (2, SALE, {"events": [event(1, "opened", 0)]})],
        [(0, HELP), (2, SALE, {"events": [event(1, "angry")]})],
        "x", "sale/a@sms: step 2 is not open at 2026-03-02 14:00:00+00:00; 1 are done",
    ),
    "sequence_restart": Case(
        rule("sequence, steps: [{offers: [help]}, {offers: [sale]}], within: 1d, restart: 3d"),
        [(0, HELP), (72, HELP)], [(0, HELP), (71, HELP)],
        "x", "help/a@sms: step 1 is not open at 2026-03-05 11:00:00+00:00; 1 are done",
    ),
    "budget": Case(
        rule("budget, max: 1, per: month, on: {kinds: [promotion]}"),
        [(0, SALE, {"usage": {f"budget:own/x per month@{NUMBER - 1}": 0}}), (1, HELP)],
        [(0, SALE, {"usage": {f"budget:own/x per month@{NUMBER - 1}": 0}}),
         (1, SALE, {"usage": {f"budget:own/x per month@{NUMBER - 1}": 1}, "customer": "bob"})],
        "x", "sale/a@sms: 1 of 1 is used (budget:own/x per month)",
    ),
    "budget_cost": Case(
        rule("budget, measure: cost, max: 2.75"),
        [(0, SALE, {"usage": {"budget:own/x cost@0": 0}}),
         (1, READ, {"usage": {"budget:own/x cost@0": 2.5}})],
        [(0, SALE, {"usage": {"budget:own/x cost@0": 0}}),
         (1, HELP, {"usage": {"budget:own/x cost@0": 2.5}})],
        "x", "help/a@sms: 2.5 of 2.75 is used (budget:own/x cost)",
    ),
    "budget_unknown": Case(
        rule("budget, max: 5"), [(0, HELP, {"usage": {"budget:own/x@0": 0}})], [(0, HELP)],
        "x", "help/a@sms: an unknown amount of 5 is used (budget:own/x)",
    ),
    "pace": Case(
        rule("budget, min: 48, per: day, on: {kinds: [service]}"),  # 24 are due at noon
        [(0, SALE,
          {"usage": {f"budget:own/x per day@{NUMBER}": 24}, "others": {HELP: None}} | LATER),
         (0, HELP, {"usage": {f"budget:own/x per day@{NUMBER}": 23}})],
        [(0, SALE,
          {"usage": {f"budget:own/x per day@{NUMBER}": 23}, "others": {HELP: None}} | LATER)],
        "x", "sale/a@sms: 23 of 24 due by now",
    ),
    "precedence": Case(
        rule("precedence, order: [service, promotion]"),
        [(0, SALE, {"others": {READ: None}}), (1, READ, {"others": {HELP: None}})],
        [(0, SALE, {"others": {HELP: None}})],
        "x", "sale/a@sms: an earlier kind is allowed",
    ),
    "precedence_when": Case(
        rule("precedence, order: [service, promotion], when: customer.ok, after: [opened],"
             " within: 1d"),
        [(0, SALE, {"others": {HELP: None}}),
         (24, SALE, {"others": {HELP: None}, "events": [event(0, "opened")]}),
         (24, SALE, {"others": {HELP: None}, "features": {"ok": False}, "customer": "bob",
                     "events": [event(1, "opened")]})],
        [(24, SALE, {"others": {HELP: None}, "features": {"ok": None},
                     "events": [event(1, "opened")]})],
        "x", "sale/a@sms: an earlier kind is allowed",
    ),
    "fallback": Case(
        {"READ": ", fallback: true"},
        [(0, READ), (1, HELP)],
        [(0, READ, {"others": {HELP: None}})],
        "fallback", "read/a@push: another offer is allowed",
    ),
    "always_act": Case(
        {"always_act": "true"},
        [(0, "none"),
         (1, HELP, {"mask": ["always_act: another action is allowed", None]})],
        [(0, HELP)],
        "always_act", "none could be drawn although another action was allowed",
    ),
    "managed": Case(
        {"holdout": "{managed: arm}"},
        [(0, HELP, {"features": {"arm": "treatment"}}),
         (1, "none", {"group": "control", "reason": "control_group"})],
        [(0, HELP)],
        "group", "expected 'control' as managed, got 'treatment'",
    ),
    "maturity": Case(
        {"maturity": "{start_share: 0.5, full_at_positives: 10}"},
        [(0, HELP, {"usage": {f"positives:own/{HELP}@0": 5}}),
         (1, "none", {"others": {HELP: "maturity: too new"},
                      "usage": {f"positives:own/{HELP}@0": 5}, "customer": "bob"})],
        [(0, HELP, {"usage": {f"positives:own/{HELP}@0": 5}}),
         (1, "none", {"others": {HELP: "maturity: too new"},
                      "usage": {f"positives:own/{HELP}@0": 6}})],
        "maturity", "help/a@sms is barred at a share of 0.8 and allowed at 0.75",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_judged_to_the_letter(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    folder = write(tmp_path / "w", case.documents)
    load_workspace(folder)  # what is judged is what may be written
    assert check_log(hand_made(case.lawful), folder, hash_key=KEY) == []
    (breach,) = check_log(hand_made(case.broken), folder, hash_key=KEY)
    assert (breach.guardrail, breach.detail) == (case.guardrail, case.detail)
    assert breach.decision_id == f"d{len(case.broken) - 1}"


CAPPED = rule("frequency_cap, max: 3, per: 7d, on: {channels: [sms]}")
STOCKED = {"SALE": ", stock: {max: 9}"}
SOLD = {"usage": {"stock:own/sale@0": 0}}
FORGED: dict[str, tuple[dict[str, str], list[tuple[Any, ...]], str, str]] = {
    "a contact was not known": (
        {}, [(0, HELP), (1, SALE, {"context": {"contacts": []}})],
        "context", "the contact of d0 at 2026-03-02 12:00:00+00:00 was not known",
    ),
    "a contact was known as another": (
        {}, [(0, HELP), (1, SALE, {"context": {"contacts": [event(0, "", 0, SALE)]}})],
        "context", "d0 was help/a@sms at 2026-03-02 12:00:00+00:00,"
        " known as sale/a@sms at 2026-03-02 12:00:00+00:00",
    ),
    "an event was forgotten": (
        {}, [(0, "none", {"events": [event(-1, "opened")]}), (1, "none")],
        "context", "opened at 2026-03-02 11:00:00+00:00 was known before and is not now",
    ),
    "too little usage": (
        STOCKED, [(0, SALE, SOLD), (1, SALE, SOLD)],
        "usage", "stock:own/sale@0 was taken for 0; the log has 1",
    ),
    "too much usage": (
        STOCKED, [(0, SALE, {"usage": {"stock:own/sale@0": 4}})],
        "usage", "stock:own/sale@0 was taken for 4; the log has 0",
    ),
    "barred without cause": (
        CAPPED, [(0, HELP), (1, "none", {"others": {SALE: "x: 3 of 3"}})],
        "x", "sale/a@sms is barred without cause (x: 3 of 3)",
    ),
    "barred by nothing": (
        CAPPED, [(0, "none", {"others": {SALE: "whim: no"}})],
        "mask", "sale/a@sms is barred by no rule of the agent (whim: no)",
    ),
    "open but improbable": (
        rule("eligibility, when: customer.ok"),
        [(0, "none", {"others": {HELP: None}, "features": {"ok": False}, "reason": "policy"})],
        "x", "help/a@sms: customer.ok is not true",
    ),
    "none is barred": (
        {}, [(0, HELP, {"mask": ["always_act: another action is allowed", None]})],
        "always_act", "none is barred without cause (always_act: another action is allowed)",
    ),
    "another reason": (
        {}, [(0, HELP, {"reason": "all_barred"})], "reason", "expected 'policy', got 'all_barred'",
    ),
    "another group": (
        {}, [(0, HELP), (1, SALE, {"group": "random", "reason": "random_group"})],
        "group", "the customer was in 'treatment' before and is in 'random' now",
    ),
    "no such action": (
        {}, [(0, "help/b@sms")], "action", "the agent has no action 'help/b@sms'",
    ),
    "a contact without an instant": (
        {}, [(0, HELP, {"send_at": None})],
        "send_at", "expected help/a@sms to be sent at 2026-03-02 12:00:00+00:00, got None",
    ),
    "no JSON": (
        {}, [(0, HELP, {"context": {"contacts": [{"at": "yesterday"}]}})],
        "unreadable", "ValueError: Invalid isoformat string: 'yesterday'",
    ),
    "one id twice": (
        {}, [(0, HELP), (1, "none", {"decision_id": "d0"})],
        "decision_id", "an earlier row has the same id",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_row_is_found(name: str, tmp_path: Path) -> None:
    documents, plan, guardrail, detail = FORGED[name]
    found = check_log(hand_made(plan), write(tmp_path / "w", documents), hash_key=KEY)
    assert [(breach.guardrail, breach.detail) for breach in found] == [(guardrail, detail)]


def test_a_decision_for_an_earlier_instant_does_not_know_what_came_after(tmp_path: Path) -> None:
    folder, knows = write(tmp_path / "w", {}), {"events": [event(-2, "opened"), event(1, "opened")]}
    late, early = (2, "none", knows), (0, "none", {"events": knows["events"][:1]})
    assert check_log(hand_made([late, early, (3, "none", knows)]), folder) == []
    forgets = (3, "none", {"events": knows["events"][:1]})
    (breach,) = check_log(hand_made([late, early, forgets]), folder)
    assert breach.decision_id == "d2"
    assert breach.detail == "opened at 2026-03-02 13:00:00+00:00 was known before and is not now"


def test_more_usage_than_a_partial_log_tells_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "w", STOCKED)
    assert check_log(hand_made([(0, SALE, SOLD | {"position": 40})]), folder) == []
    over = {"usage": {"stock:own/sale@0": 9}, "position": 40}
    assert [b.guardrail for b in check_log(hand_made([(0, SALE, over)]), folder)] == ["stock"]


def test_contacts_from_before_the_log_count(tmp_path: Path) -> None:
    folder = write(tmp_path / "w", rule("frequency_cap, max: 1, per: 40d"))
    before = {"context": {"contacts": [event(-24, "", 9)]}}
    plan = [(0, "none", before), (24, HELP, before), (24 * 38, HELP)]
    found = check_log(hand_made(plan), folder)
    assert [(b.decision_id, b.guardrail) for b in found] == [("d1", "x"), ("d2", "x")]


def test_what_the_log_cannot_tell_is_said(tmp_path: Path) -> None:
    documents = {
        "guardrails": """{
  vip: {rule: exclusion_list, customers: [bob]},
  sold: {rule: frequency_cap, max: 9, per: 1d, for: total, counts: response},
  ended: {rule: event_suppression, after: [bought]}}""",
        "maturity": "{}",
        "WORDS": "{text: '{% if customer.name %}{{ customer.name }}{% endif %}'}",
    }
    folder = write(tmp_path / "w", documents)
    usage = {"cap:own/sold events per 1d@0": 0.0, f"positives:own/{HELP}@0": 0.0}
    bought = [{"outcome": "bought", "value": 10.0, "at": START + timedelta(minutes=1)}]
    plan = [(0, HELP, {"usage": usage, "outcomes": bought}), (1, "none")]
    report = check_log(hand_made(plan), folder)
    assert report.unchecked == (
        "exclusion_list vip: the hash key is needed",
        "groups: only that they stay; customers are hashed",
        "maturity: only its shares; customers are hashed",
        "content: templates that do more than write fields",
        "total caps of deliveries and responses: only against what was logged",
        "events: 1 outcomes were not known to later decisions (reported late)",
    )


def test_a_share_that_is_next_to_impossible_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "w", {"maturity": "{start_share: 0.1}"})
    usage = {"usage": {f"positives:own/{HELP}@0": 0}}
    plan = [(number, HELP, usage | {"customer": f"c{number}"}) for number in range(12)]
    found = check_log(hand_made(plan), folder)
    detail = "help/a@sms is open to 11 of 11 customers, not 10.0%"
    assert [(b.decision_id, b.detail) for b in found] == [("d10", detail)]
