"""What masks cost: one customer beside bare CEL, a table beside one by one.

Run it by `python -m agents.benchmark_mask`; `... memory N` prints the peak memory of N customers.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from cel_expr_python import cel
from rich.console import Console
from rich.table import Table

from agents.context import Contact, Context, PastEvent
from agents.revision import Revision
from agents.spec import Agent, EligibilitySpec, SuppressionSpec, Workspace
from agents.tabular import mask_table

AT = datetime(2026, 3, 4, 10, 20, tzinfo=UTC)
SINGLE, TABLE, MEMORY = 50, 24, 1_000_000  # actions, actions, customers
LIMITS = (3.0, 20.0, 2.0)  # times CEL, times single, GiB
REPEATS, CALLS = 61, 50

_TYPES = {
    "integer": cel.Type.INT, "number": cel.Type.DOUBLE, "boolean": cel.Type.BOOL,
    "category": cel.Type.STRING, "zone": cel.Type.STRING,
}  # fmt: skip
_WORKSPACE = """{
"workspace": "bench", "currency": "EUR", "zone": "Europe/Berlin",
"customer": {
  "age": {"type": "integer", "min": 0, "max": 120}, "tenure": {"type": "integer"},
  "plan": {"type": "category", "values": ["basic", "plus", "max"]},
  "bill": {"type": "number"}, "bill_change": {"type": "number"}, "data_share": {"type": "number"},
  "roaming_days": {"type": "integer"}, "months_left": {"type": "integer"},
  "app_user": {"type": "boolean"}, "open_case": {"type": "boolean"},
  "consent_email": {"type": "boolean"}, "consent_sms": {"type": "boolean"},
  "consent_push": {"type": "boolean"}, "zone": {"type": "zone"}},
"channels": {
  "email": {"cost": 0.01, "consent": "consent_email", "windows": {
    "morning": {"from": "08:00", "to": "12:00"}, "evening": {"from": "17:00", "to": "20:00"}}},
  "sms": {"cost": 0.06, "consent": "consent_sms", "capacity": {"max": 100000, "per": "day"},
    "quiet_hours": {"from": "20:00", "to": "08:00"}},
  "push": {"consent": "consent_push", "quiet_hours": {"from": "21:00", "to": "08:00"}}},
"guardrails": {
  "no_case": {"rule": "suppression", "when": "customer.open_case",
    "except": {"kinds": ["service"]}}}}"""
_RULES = """
"adult_sales": {"rule": "eligibility", "when": "customer.age >= 18 && customer.bill < 400.0",
  "on": {"kinds": ["promotion", "retention"]}},
"channel_limit": {"rule": "frequency_cap", "max": 3, "per": "7d", "scope": "channel"},
"offer_pause": {"rule": "cooldown", "pause": "14d", "scope": "offer"},
"spend": {"rule": "budget", "measure": "cost", "max": 50000, "per": "month"},
"first": {"rule": "precedence", "order": ["service", "retention", "promotion"],
  "on": {"channels": ["push"]}}"""
_KINDS = ("promotion", "retention", "service")


def build(actions: int) -> Revision:
    """Compile an agent of 12 guardrails, 4 of them CEL, with so many actions beside `none`."""
    offers, left, number = [], actions, 0
    while left:  # email has two windows, so an offer has up to four actions
        channels = ['"email"', '"sms"', '"push"'][: 3 if left >= 4 else 1]
        size = 4 if len(channels) == 3 else 2
        eligible = '"eligible": "customer.months_left <= 6 || customer.tenure > 24", '
        offers.append(
            f'"offer_{number}": {{"kind": "{_KINDS[number % 3]}", "cost": 0.5,'
            f' {eligible if number == 0 else ""}"channels": [{", ".join(channels)}],'
            ' "variants": {"plain": {"text": "Hello"}}}'
        )
        left, number = left - size, number + 1
    agent = (
        '{"agent": "bench", "audience": "customer.tenure >= 1 && customer.plan != \'max\'",'
        ' "outcomes": {"bought": {"value": 10, "window": "7d"}},'
        f' "offers": {{{", ".join(offers)}}}, "guardrails": {{{_RULES}}}}}'
    )
    return Revision(Workspace.model_validate_json(_WORKSPACE), Agent.model_validate_json(agent))


def one(revision: Revision) -> Context:
    """Make a customer with five contacts and three events, whom most rules leave alone."""
    features = {
        "age": 44, "tenure": 30, "plan": "plus", "bill": 42.5, "bill_change": 0.3,
        "data_share": 0.95, "roaming_days": 2, "months_left": 3, "app_user": True,
        "open_case": False, "consent_email": True, "consent_sms": True, "consent_push": True,
        "zone": "Europe/Berlin",
    }  # fmt: skip
    whose = ((26, "bench"), (12, "other"), (9, "bench"), (6, "other"), (3, "bench"))
    sent = [
        Contact(AT - timedelta(days=days), agent, a.offer, a.kind, a.channel, a.id, (), f"d{days}")
        for (days, agent), a in zip(whose, revision.actions[1:], strict=False)
    ]
    events = [PastEvent(AT - timedelta(days=days), "bought", f"d{days}") for days in (26, 9, 3)]
    bare = revision.context("ann", AT, features, sent, events=events)
    usage = {reading.key: 10.0 for reading in revision.readings(bare)}
    return revision.context("ann", AT, features, sent, events=events, usage=usage)


def cel_alone(revision: Revision, context: Context) -> Callable[[], object]:
    """Evaluate the agent's four expressions with the CEL library and nothing else.

    The customer's features are bound, each expression is evaluated, and its result is read.
    """
    schema = revision.workspace.customer
    env = cel.NewEnv(variables={f"customer.{name}": _TYPES[f.type] for name, f in schema.items()})
    rules = (*revision.agent.guardrails.values(), *revision.workspace.guardrails.values())
    sources = (
        revision.agent.audience, revision.agent.offers["offer_0"].eligible,
        *(rule.when for rule in rules if isinstance(rule, EligibilitySpec | SuppressionSpec)),
    )  # fmt: skip
    compiled = [env.compile(str(source)) for source in sources]

    def evaluate() -> list[object]:
        bound = env.Activation({f"customer.{k}": v for k, v in context.features.items()})
        return [expression.eval(bound).value() for expression in compiled]

    return evaluate


def timed(call: Callable[[], object], calls: int) -> float:
    """Return the processor seconds of one call, which other processes do not lengthen."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def interleaved(left: Callable[[], object], right: Callable[[], object]) -> tuple[float, float]:
    """Time two calls in turn; the median seconds of each."""
    pairs = [(timed(left, CALLS), timed(right, CALLS)) for _ in range(REPEATS)]
    first, second = zip(*pairs, strict=True)
    return statistics.median(first), statistics.median(second)


def population(revision: Revision, count: int) -> tuple[pa.Table, pa.Table]:
    """Draw customers, and contacts for a third of them."""
    rng = np.random.default_rng(7)
    flag = [rng.random(count) < share for share in (0.5, 0.1, 0.9, 0.7, 0.6)]
    words = pa.array(["basic", "plus", "max"])
    zones = pa.array(["Europe/Berlin", "Europe/London", "America/New_York", "Asia/Tokyo"])
    names = pa.array(np.char.add("c", np.arange(count).astype(str)))
    customers = pa.table({
        "customer": names,
        "age": rng.integers(10, 90, count), "tenure": rng.integers(0, 100, count),
        "plan": words.take(pa.array(rng.integers(0, 3, count))),
        "bill": rng.gamma(4.0, 20.0, count), "bill_change": rng.normal(0.0, 0.2, count),
        "data_share": rng.random(count), "roaming_days": rng.integers(0, 9, count),
        "months_left": pa.array(rng.integers(0, 24, count), mask=rng.random(count) < 0.05),
        "app_user": flag[0], "open_case": flag[1], "consent_email": flag[2],
        "consent_sms": flag[3], "consent_push": flag[4],
        "zone": zones.take(pa.array(rng.integers(0, 4, count))),
    })  # fmt: skip
    size = count // 3 * 2
    which = rng.integers(1, len(revision.actions), size)
    at = np.datetime64(AT.replace(tzinfo=None), "us") - rng.integers(0, 25 * 86_400, size).astype(
        "timedelta64[s]"
    )
    columns = {
        name: pa.array([getattr(a, name) for a in revision.actions]).take(pa.array(which))
        for name in ("offer", "kind", "channel")
    }
    contacts = pa.table({
        "customer": names.take(pa.array(rng.integers(0, max(count // 3, 1), size))),
        "at": pa.array(at, pa.timestamp("us", "UTC")), "agent": ["bench"] * size,
        "action": pa.array(revision.action_ids).take(pa.array(which)), **columns,
    })  # fmt: skip
    return customers, contacts


def one_by_one(
    revision: Revision, customers: pa.Table, contacts: pa.Table, usage: dict[str, float]
) -> Callable[[], object]:
    """Check and mask each customer by itself, from rows that are in memory."""
    sent: dict[str, list[Contact]] = {}
    for row in sorted(contacts.to_pylist(), key=lambda row: row["at"]):
        sent.setdefault(row.pop("customer"), []).append(Contact(**row))
    rows: list[dict[str, Any]] = customers.to_pylist()
    named = [(row.pop("customer"), row) for row in rows]

    def mask() -> None:
        for name, row in named:
            revision.mask(revision.context(name, AT, row, sent.get(name, ()), usage=usage))

    return mask


def usage_of(revision: Revision) -> dict[str, float]:
    """Return what is used of the budgets, for customers of any zone."""
    zones = ("Europe/Berlin", "Europe/London", "America/New_York", "Asia/Tokyo")
    contexts = [revision.context("ann", AT, {"zone": zone}) for zone in zones]
    return {reading.key: 10.0 for context in contexts for reading in revision.readings(context)}


def memory(count: int) -> float:
    """Return the peak memory of this process after masking so many customers, in GiB."""
    revision = build(TABLE)
    customers, contacts = population(revision, count)
    usage = usage_of(revision)
    mask_table(revision, customers, at=AT, contacts=contacts, usage=usage)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def rates(count: int) -> tuple[float, float]:
    """Return customers per second of the table path and of the single path, in turn."""
    revision = build(TABLE)
    customers, contacts = population(revision, count)
    usage, few = usage_of(revision), customers.slice(0, 3_000 if count > 3_000 else count)
    spread = customers.take(pa.array(np.linspace(0, count - 1, len(few)).astype(int)))
    single = one_by_one(revision, spread, contacts, usage)

    def table_path() -> object:
        return mask_table(revision, customers, at=AT, contacts=contacts, usage=usage)

    pairs = [(timed(table_path, 1), timed(single, 1)) for _ in range(3)]
    table, alone = zip(*pairs, strict=True)
    return count / statistics.median(table), len(few) / statistics.median(alone)


def main() -> None:
    """Measure all and print each figure beside its limit."""
    if sys.argv[1:2] == ["memory"]:
        sys.stdout.write(f"{memory(int(sys.argv[2]))}\n")
        return
    revision = build(SINGLE)
    context = one(revision)
    mask, cel = interleaved(lambda: revision.mask(context), cel_alone(revision, context))
    table, single = rates(200_000)
    command = [sys.executable, "-m", "agents.benchmark_mask", "memory", str(MEMORY)]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    shown = Table("masks", "measured", "beside", "ratio", "limit")
    rules = len(revision.guardrails) + len(revision.rankings)
    shown.add_row(
        f"{rules} guardrails, {SINGLE} actions, one customer", f"{mask * 1e6:.1f} us",
        f"{cel * 1e6:.1f} us, CEL alone", f"{mask / cel:.2f}", f"at most {LIMITS[0]:g}",
    )  # fmt: skip
    shown.add_row(
        f"a table of 200,000, {TABLE} actions", f"{table:,.0f}/s", f"{single:,.0f}/s one by one",
        f"{table / single:.1f}", f"at least {LIMITS[1]:g}",
    )  # fmt: skip
    shown.add_row(
        f"{MEMORY:,} customers, {TABLE} actions", f"{peak:.2f} GiB", "", "",
        f"at most {LIMITS[2]:g} GiB",
    )  # fmt: skip
    Console().print(shown)


if __name__ == "__main__":
    main()
