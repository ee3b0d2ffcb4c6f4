"""Both paths mean the same: for random workspaces, customers and histories, word for word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cel_tree import read_tree
from agents.context import Contact, Context, PastEvent, check_features
from agents.errors import ContextError
from agents.expressions import Language
from agents.guardrails import Bar, Moment
from agents.guardrails.base import Plain
from agents.revision import Revision
from agents.spec import Agent, CustomerField, Workspace
from agents.tabular import mask_table
from agents.tabular.cel import evaluate
from agents.tabular.columns import microseconds, read_columns

Row = dict[str, Any]  # of a table of contacts or events
AT = datetime(2026, 3, 28, 19, 30, tzinfo=UTC)  # the evening before Europe's clocks change
FIELDS: dict[str, dict[str, object]] = {
    "age": {"type": "integer", "min": 0, "max": 120},
    "visits": {"type": "integer"},
    "bill": {"type": "number"},
    "plan": {"type": "category", "values": ["basic", "plus", "max"]},
    "likes": {"type": "set", "values": ["sport", "news", "film"]},
    "since": {"type": "instant"},
    "city": {"type": "text"},
    "open_case": {"type": "boolean"},
    "consent": {"type": "boolean"},
    "gone": {"type": "boolean"},
    "zone": {"type": "zone"},
    "language": {"type": "category", "values": ["de", "de-AT", "en"]},
}
CONDITIONS = (
    "customer.age >= 18", "customer.plan in ['plus', 'max'] || customer.age > 60",
    "!customer.open_case && customer.bill / 2.0 > 10.0", "'sport' in customer.likes",
    "100 / customer.visits > 3 || customer.open_case", "customer.city.startsWith('B')",
    "customer.since < timestamp('2025-06-01T00:00:00Z')",
    "now - customer.since > duration('720h') && customer.plan != 'basic'",
    "customer.open_case ? customer.age < 50 : customer.bill >= 20.0",
    "customer.visits * 9000000000000 > 3 || customer.age % customer.visits == 1",
    "size(customer.likes) > 1 && customer.city.contains('i')",
    "customer.likes.exists(x, x == 'film')",
    "customer.plan == 'max' || (customer.bill > 30.0 && customer.age < 40)",
    "-customer.visits + customer.age - 3 > 10", "size(customer.city) == 6 || customer.city < 'C'",
    "customer.age in [18, 30, 44] || customer.bill in [1.5, 20.0]",
    "now.getHours('UTC') == 19 && customer.consent", "int(customer.bill) % 2 == 0",
)  # fmt: skip
OFFERS = ("help", "sale", "news", "pack", "rest")
KINDS = ("service", "promotion", "education", "retention", "service")
CHANNELS = ("mail", "sms", "site", "push")
WORDS = ("bought", "refused", "opened", "bounced", "moved")
SCOPES = ("all", "agent", "kind", "offer", "channel", "action")
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", None)


def pick(random: Random, *words: Any) -> Any:
    return random.choice(words)


def some(random: Random, words: tuple[str, ...], least: int = 1) -> list[str]:
    return random.sample(words, random.randint(least, len(words)))


def selector(random: Random) -> dict[str, object]:
    found: dict[str, object] = {}
    if random.random() < 0.3:
        found["on"] = pick(
            random, {"kinds": some(random, ("service", "promotion"))},
            {"channels": some(random, CHANNELS)}, {"offers": some(random, OFFERS)},
            {"tags": ["hot"]}, {"stages": ["growth"]},
        )  # fmt: skip
    if random.random() < 0.2:
        found["except"] = {"channels": [random.choice(CHANNELS)]}
    return found


Made = dict[str, Any]


def cap(random: Random, span: str) -> Made:
    made: Made = {"rule": "frequency_cap", "max": random.randint(0, 3), "per": span}
    if random.random() < 0.4:
        made |= {"window": "calendar", "per": pick(random, "hour", "day", "week", "month")}
    made["counts"] = pick(random, "decision", "decision", "delivery", "response")
    made["for"] = pick(random, "customer", "customer", "customer", "total")
    return made | {"scope": random.choice(SCOPES)}


def cooldown(random: Random, span: str) -> Made:
    after = pick(random, "contact", "response", "rejection", ["moved", "opened"])
    often = {"times": 2, "within": "5d"} if random.random() < 0.3 else {}
    return {
        "rule": "cooldown",
        "pause": span,
        "scope": random.choice(SCOPES),
        "after": after,
    } | often


def ending(random: Random, _span: str) -> Made:
    scope = random.choice(SCOPES)
    return {"rule": "event_suppression", "after": some(random, WORDS), "scope": scope}


def gate(random: Random, _span: str) -> Made:
    kind = pick(random, "eligibility", "suppression")
    return {"rule": kind, "when": random.choice(CONDITIONS)}


def precedence(random: Random, _span: str) -> Made:
    made: Made = {"rule": "precedence", "order": ["service", "retention", "promotion"]}
    if random.random() < 0.5:
        made["when"] = random.choice(CONDITIONS)
    return made | ({"after": ["moved"], "within": "10d"} if random.random() < 0.5 else {})


def budget(random: Random, _span: str) -> Made:
    return {"rule": "budget", "max": 20, "min": 10, "per": pick(random, "day", "week")}


def listed(random: Random, _span: str) -> Made:
    return {"rule": "exclusion_list", "customers": some(random, ("c1", "c4", "c7"))}


def exclusive(_random: Random, span: str) -> Made:
    return {"rule": "exclusive", "agents": ["main", "other", "third"], "for": span}


def escalation(random: Random, _span: str) -> Made:
    return {
        "rule": "escalation", "from": "mail", "to": "sms", "unless": ["opened"],
        "wait": "1d", "within": "9d", "scope": pick(random, "agent", "offer"),
    }  # fmt: skip


def sequence(_random: Random, _span: str) -> Made:
    return {
        "rule": "sequence", "within": "9d", "restart": "20d", "until": ["bought"],
        "steps": [{"channels": ["mail"]}, {"offers": ["sale", "pack"], "after": "1d"}],
    }  # fmt: skip


RULES = (
    cap, cap, cap, cooldown, cooldown, ending, gate, precedence, budget, listed, exclusive,
    escalation, sequence,
)  # fmt: skip


def rule(random: Random) -> Made:
    make = random.choice(RULES)
    return make(random, pick(random, "6h", "2d", "7d", "20d")) | selector(random)


def offer(random: Random, name: str, kind: str) -> dict[str, object]:
    text = pick(random, "Hello", "Hello {{ customer.city }}", "You pay {{ customer.bill }}")
    variants = {"a": {"text": text, "locales": {"de": {"text": "Hallo {{ customer.age }}"}}}}
    made: dict[str, object] = {
        "kind": kind, "variants": variants, "cost": pick(random, 0.0, 1.5),
        "channels": some(random, CHANNELS, 2), "tags": pick(random, [], ["hot"]),
        "stage": pick(random, None, "growth"), "fallback": name == "rest",
    }  # fmt: skip
    for asked in ("eligible", "applicable", "suitable"):
        if random.random() < 0.06:
            made[asked] = random.choice(CONDITIONS)
    if name == "pack":
        made["includes"] = ["help", "sale"]
    if random.random() < 0.3:
        made |= {"start": "2026-03-29"} if random.random() < 0.5 else {"end": "2026-03-28"}
    if random.random() < 0.3:
        made["stock"] = {"max": 20, "per": pick(random, None, "day")}
    return made


def revision_of(random: Random) -> Revision:
    quiet = {"from": "20:00", "to": "08:00", "on_hit": pick(random, "discard", "queue")}
    channels: dict[str, object] = {
        "mail": {
            "consent": "consent",
            "windows": {"early": {"from": "08:00", "to": "10:00"},
                        "late": {"from": "17:00", "to": "21:00", "days": ["mon", "sat"]}},
        },
        "sms": {"cost": 0.5, "quiet_hours": quiet, "capacity": {"max": 20, "per": "day"}},
        "site": {"placements": ["top"]} if random.random() < 0.3 else {},
        "push": {"opt_out": "gone"} if random.random() < 0.5 else {},
    }  # fmt: skip
    workspace = {
        "workspace": "random", "currency": "EUR", "zone": "Europe/Berlin", "customer": FIELDS,
        "channels": channels, "opt_out": pick(random, None, None, None, "gone"),
        "events": {"opened": {"counts_as": "response"}, "bounced": {"counts_as": "failure"},
                   "moved": {}},
        "guardrails": {f"w{n}": rule(random) for n in range(random.randint(0, 3))},
        "locales": pick(random, None, {"field": "language", "default": "en"}),
    }  # fmt: skip
    agent = {
        "agent": "main", "audience": pick(random, None, None, None, random.choice(CONDITIONS)),
        "outcomes": {"bought": {"value": 5, "window": "7d"},
                     "refused": {"value": -1, "window": "7d"}},
        "offers": {n: offer(random, n, k) for n, k in zip(OFFERS, KINDS, strict=True)},
        "guardrails": {f"a{n}": rule(random) for n in range(random.randint(1, 5))},
        "maturity": pick(random, None, None, {"start_share": 0.4, "full_at_positives": 40}),
        "always_act": random.random() < 0.2,
    }  # fmt: skip
    return Revision(
        Workspace.model_validate_json(json.dumps(workspace)),
        Agent.model_validate_json(json.dumps(agent)),
    )


FEATURES: dict[str, Callable[[Random], object]] = {
    "age": lambda random: pick(random, 0, 17, 18, 30, 44, 61),
    "visits": lambda random: pick(random, 0, -1, 7, 2_000_000, 10**15),
    "bill": lambda random: pick(random, -3.5, 1.5, 20.0, 20.5, 31.0),
    "plan": lambda random: pick(random, "basic", "plus", "max"),
    "likes": lambda random: some(random, ("sport", "news", "film"), 0),
    "since": lambda random: AT - timedelta(pick(random, 1, 30, 400), 0, random.randint(0, 3)),
    "city": lambda random: pick(random, "Berlin", "Bern", "Zürich", "Córdoba"),
    "open_case": lambda random: random.random() < 0.3,
    "consent": lambda random: random.random() < 0.8,
    "gone": lambda random: random.random() < 0.2,
    "zone": lambda random: random.choice(ZONES),
    "language": lambda random: pick(random, "de", "de-AT", "en"),
}


def feature(random: Random, name: str) -> object:
    return None if random.random() < 0.1 else FEATURES[name](random)


def customer(random: Random, number: int) -> dict[str, object]:
    return {"customer": f"c{number}"} | {name: feature(random, name) for name in FIELDS}


def past(random: Random, revision: Revision) -> Row:
    action = random.choice(revision.actions[1:])
    agent = pick(random, "main", "main", "other", "stranger")
    days, exact = pick(random, 0, 1, 1, 2, 2, 6, 7, 8, 20, 45), pick(random, 0, 0, 1, 3_600, 80_000)
    at = AT - timedelta(days=days) + timedelta(seconds=pick(random, -1, 1) * exact)
    return {
        "customer": f"c{random.randint(0, 9)}", "at": at, "agent": agent,
        "offer": action.offer, "kind": action.kind, "channel": action.channel,
        "action": action.id, "includes": list(action.includes),
        "decision_id": f"d{random.randint(0, 4)}",
    }  # fmt: skip


def event(random: Random, revision: Revision) -> Row:
    made = past(random, revision) | {"event": random.choice(WORDS)}
    if random.random() < 0.3:
        empty = dict.fromkeys(("agent", "offer", "kind", "channel", "action", "decision_id"), "")
        made |= empty | {"includes": []}
    return made


CONTACTS = pa.schema(
    [("customer", pa.string()), ("at", pa.timestamp("us", "UTC"))]
    + [(name, pa.string()) for name in ("agent", "offer", "kind", "channel", "action")]
    + [("includes", pa.list_(pa.string())), ("decision_id", pa.string())]
)
EVENTS = CONTACTS.append(pa.field("event", pa.string()))


def table_of(records: list[dict[str, object]]) -> pa.Table:
    types = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(),
             "set": pa.list_(pa.string()), "instant": pa.timestamp("us", "UTC")}  # fmt: skip
    fields = [(n, types.get(str(f["type"]), pa.string())) for n, f in FIELDS.items()]
    return pa.Table.from_pylist(records, pa.schema([("customer", pa.string()), *fields]))


def context_of(
    revision: Revision,
    record: dict[str, object],
    contacts: list[Row],
    events: list[Row],
) -> Context:
    """What a ledger would recall, built by hand."""
    customer = str(record["customer"])

    def own(rows: list[Row], back: timedelta) -> list[Row]:
        mine = [row for row in rows if row["customer"] == customer]
        kept = [{k: v for k, v in row.items() if k != "customer"} for row in mine]
        fixed = [row | {"includes": tuple(row["includes"])} for row in kept]
        return sorted((row for row in fixed if row["at"] > AT - back), key=lambda row: row["at"])

    heard = [
        PastEvent(**row)
        for row in own(events, revision.event_lookback)
        if row["event"] in revision.hears
    ]
    return revision.context(
        customer, AT, {k: v for k, v in record.items() if k != "customer"},
        [Contact(**row) for row in own(contacts, revision.lookback)],
        events=[event for event in heard if event.at <= AT],
    )  # fmt: skip


def usage_of(random: Random, revision: Revision, contexts: list[Context]) -> dict[str, float]:
    keys = {reading.key for context in contexts for reading in revision.readings(context)}
    read = (key for key in sorted(keys) if random.random() < 0.9)
    return {key: pick(random, 0.0, 3.0, 19.0, 20.0, 60.0) for key in read}


@settings(max_examples=150)
@given(st.integers(0, 10**9))
def test_both_paths_give_the_same_reasons(seed: int) -> None:
    random = Random(seed)
    revision = revision_of(random)
    records = [customer(random, number) for number in range(10)]
    contacts = [past(random, revision) for _ in range(random.randint(0, 25))]
    events = [event(random, revision) for _ in range(random.randint(0, 15))]
    contexts = [context_of(revision, record, contacts, events) for record in records]
    usage = usage_of(random, revision, contexts)
    masks = mask_table(
        revision, table_of(records), at=AT, contacts=pa.Table.from_pylist(contacts, CONTACTS),
        events=pa.Table.from_pylist(events, EVENTS), usage=usage, batch=random.choice((3, 7, 100)),
    )  # fmt: skip
    for row, context in enumerate(contexts):
        single = revision.mask(replace(context, usage=usage))
        assert masks.column("reasons")[row].as_py() == list(single.reasons)
        assert masks.column("allowed")[row].as_py() == single.allowed.tolist()


@pytest.mark.parametrize(
    "rule",
    [
        "{rule: frequency_cap, max: 1, per: 2d}",
        "{rule: frequency_cap, max: 1, per: 2d, counts: delivery}",
        "{rule: frequency_cap, max: 1, per: 2d, counts: response}",
        "{rule: cooldown, pause: 2d}",
        "{rule: cooldown, pause: 2d, after: [opened]}",
        "{rule: event_suppression, after: [opened], for: 2d}",
        "{rule: exclusive, agents: [helper, other], for: 2d}",
    ],
)
def test_the_very_ends_of_a_span_are_told_apart(build: Callable[..., Revision], rule: str) -> None:
    """Pairs of customers that differ by a microsecond, or by a contact that failed."""
    words = {"events": "{opened: {counts_as: response}, bounced: {counts_as: failure}}"}
    revision = build(words, guardrails=f"{{rule: {rule}}}")
    action, tick = revision.actions[1], timedelta(microseconds=1)
    span = timedelta(2)
    ages = (span, span - tick, timedelta(0), tick, span + tick, -span, tick - span)
    features = {"consent_email": True, "time_zone": "UTC"}
    like = {n: getattr(action, n) for n in ("offer", "kind", "channel")} | {"action": action.id}
    sent, heard = [], []
    for number, age in enumerate(ages * 2):
        for agent in ("helper", "other"):
            once: Made = {"customer": f"c{number}", "at": AT - age, "agent": agent, "includes": []}
            sent.append(once | like | {"decision_id": agent})
            heard.append(sent[-1] | {"event": "opened" if number < len(ages) else "bounced"})
    records = [{"customer": f"c{number}", **features} for number in range(len(ages) * 2)]
    masks = mask_table(
        revision, pa.Table.from_pylist(records), at=AT,
        contacts=pa.Table.from_pylist(sent, CONTACTS), events=pa.Table.from_pylist(heard, EVENTS),
    )  # fmt: skip
    single = [revision.mask(context_of(revision, r, sent, heard)).reasons for r in records]
    assert [tuple(row) for row in masks.column("reasons").to_pylist()] == single
    assert len(set(single)) > 1


@settings(max_examples=60)
@given(st.sampled_from(CONDITIONS), st.sampled_from(CONDITIONS), st.integers(0, 10**9))
def test_an_expression_means_the_same_over_columns(one: str, other: str, seed: int) -> None:
    """Errors too: absorbed by what settles the result, else named as the evaluator names them."""
    random = Random(seed)
    sources = (f"({one}) && ({other})", f"({one}) || !({other})", f"({one}) ? ({other}) : ({one})")
    schema = {n: CustomerField.model_validate_json(json.dumps(f)) for n, f in FIELDS.items()}
    language = Language(schema)
    records = [customer(random, number) for number in range(20)]
    columns = read_columns(schema, table_of(records), 0)
    for condition in map(language.compile, sources):
        tree = read_tree(condition.compiled.serialize())
        if tree.root is None or "getHours" in condition.source or "int(" in condition.source:
            continue
        key = evaluate(tree.root, columns, microseconds(AT), len(records))
        seen: dict[int, str | None] = {}
        for code, record in zip(key.codes.tolist(), records, strict=True):
            del record["customer"]
            told = condition.refusal(language.bind(check_features(schema, record), AT))
            assert seen.setdefault(code, told) == told
            record["customer"] = "c"
        assert len(set(seen.values())) >= min(2, len(seen))


SMALL = {"customer": ["ann", "bob"]}
TIMELESS = {
    name: ["ann"] for name in ("customer", "at", "agent", "offer", "kind", "channel", "action")
}


def masked(build: Callable[..., Revision], columns: Mapping[str, object], **more: Any) -> pa.Table:
    return mask_table(build(), pa.table(dict(columns)), at=AT, **more)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": [3, 200]}, "row 1: customer.age: expected a number from 0 to 120, got one that"),
        ({"age": [3.5, None]}, "row 0: customer.age: expected a whole number, got a number"),
        ({"bill": [1.0, float("nan")]}, "row 1: customer.bill: expected a finite number, got nan"),
        ({"plan": ["basic", "plsu"]}, "row 1: customer.plan: got none of its values; did you"),
        ({"plan": [1, 2]}, "row 0: customer.plan: expected printable text"),
        ({"complaint": ["no", None]}, "row 0: customer.complaint: expected true or false"),
        ({"time_zone": ["UTC", "Mars"]}, "row 1: customer.time_zone: expected an IANA time zone"),
        ({"agee": [1, 2]}, "row 0: customer.agee is not declared"),
        ({"customer": ["ann", "ann"]}, "customer: expected each once, got 'ann' twice"),
        ({"customer": ["ann", ""]}, "row 1: customer: expected printable text"),
        ({"customer": ["ann", None]}, "row 1: customer: expected printable text"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_with_its_row(
    build: Callable[..., Revision], columns: dict[str, object], message: str
) -> None:
    with pytest.raises(ContextError, match="^" + re.escape(message)):
        masked(build, SMALL | columns)


def test_rows_are_counted_over_batches(build: Callable[..., Revision]) -> None:
    with pytest.raises(ContextError, match="^row 1: customer.age"):
        masked(build, SMALL | {"age": [3, 200]}, batch=1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"customer": ["ann"]}, "contacts: expected a value of 'at' in every row, got none"),
        ({"customers": ["ann"]}, "contacts: expected the columns customer, at"),
        (TIMELESS, "contacts: expected instants with a zone in 'at'"),
    ],
)
def test_a_history_that_lacks_something_is_refused(
    build: Callable[..., Revision], table: dict[str, object], message: str
) -> None:
    with pytest.raises(ContextError, match="^" + re.escape(message)):
        masked(build, SMALL, contacts=pa.table(table))


def test_the_output_is_typed_and_an_empty_table_has_it_too(build: Callable[..., Revision]) -> None:
    full = masked(build, SMALL | {"consent_email": pa.array([True, None])})
    empty = masked(build, {"customer": pa.array([], pa.string())})
    assert full.schema == empty.schema
    assert (len(full), len(empty)) == (2, 0)
    assert full.schema.field("allowed").type == pa.list_(pa.bool_(), 6)
    assert full.column("allowed")[0].as_py() == [True] * 6
    assert full.column("reasons")[1].as_py()[1] == (
        "consent: customer.consent_email for email is unknown"
    )
    assert masked(build, SMALL, batch=1).column("reasons").num_chunks == 2


def test_a_rule_that_is_not_listed_is_asked_about_every_customer(
    build: Callable[..., Revision],
) -> None:
    class Odd(Plain):
        name, actions = "odd", (1,)

        def bars(self, moment: Moment) -> Iterator[Bar]:
            yield Bar((1,), f"{moment.context.customer} at row")

    revision = build()
    revision.guardrails = (Odd(),)
    reasons = mask_table(revision, pa.table(SMALL), at=AT).column("reasons")
    assert [row[1] for row in reasons.to_pylist()] == ["odd: ann at row", "odd: bob at row"]
