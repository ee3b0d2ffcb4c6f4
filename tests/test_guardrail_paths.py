"""Every guardrail on every way to a decision: simulation, replay, single, table, server.

The example workspaces together use every rule. Each of their agents lives through a simulated
market; the same masks must come out whichever way they are made, the independent checker must find
nothing, and every rule must have barred something, or the test shows nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest

from agents.catalog import example_folder, example_names, write_example
from agents.checker import check_log
from agents.decisions import Decision, OutcomeEvent
from agents.load import load_workspace
from agents.log import log_row, log_table
from agents.memory import Memory
from agents.revision import Revision
from agents.spec import GuardrailSpec, Workspace
from agents.tabular import mask_table
from policies.decide import decide, replay
from policies.uniform import Uniform
from simulators.results import Rollout
from simulators.rollout import rollout
from simulators.worlds import create_world

KEY = b"key of the customer hash"
SECRET = b"secret of the draws"
IMPLIED = {
    "audience", "eligible", "applicable", "suitable", "opt_out", "consent", "dates", "placement",
    "content", "quiet_hours", "stock", "capacity", "maturity", "fallback", "always_act", "holdout",
}  # fmt: skip


@cache
def revisions_of(example: str) -> Mapping[str, Revision]:
    with example_folder(example) as folder:
        return load_workspace(folder).revisions


def declares(example: str) -> bool:
    """Whether all agents of an example declare their actions, as a market needs."""
    return all(revision.agent.supplied is None for revision in revisions_of(example).values())


EXAMPLES = [example for example in example_names() if declares(example)]
AGENTS = [(example, agent) for example in EXAMPLES for agent in revisions_of(example)]


@cache
def lived(example: str, agent: str) -> Rollout:
    """Let an agent act in a simulated market, uniformly, so that it tries everything."""
    revision = revisions_of(example)[agent]
    world = create_world("generic", revision, customers=60, rounds=10, every=timedelta(days=2))
    return rollout(world, Uniform(), secret=SECRET)


def logged(run: Rollout) -> pa.Table:
    heard: dict[str, list[OutcomeEvent]] = defaultdict(list)
    for event in run.events:
        heard[event.decision_id].append(event)
    return log_table(
        log_row(i, d, run.revision, heard[d.decision_id], now=run.end, key=KEY)
        for i, d in enumerate(run.decisions, start=1)
    )


@pytest.mark.parametrize(("example", "agent"), AGENTS)
def test_simulation_passes_the_independent_checker(example: str, agent: str) -> None:
    run = lived(example, agent)
    assert any(decision.action for decision in run.decisions)
    with example_folder(example) as folder:
        assert list(check_log(logged(run), folder, hash_key=KEY)) == []


@pytest.mark.parametrize(("example", "agent"), AGENTS)
def test_replay_of_the_log_makes_the_same_masks_and_draws(example: str, agent: str) -> None:
    run = lived(example, agent)
    again = Revision.from_source(run.revision.source)
    for decision in run.decisions[::7]:
        stored = type(decision).from_record(decision.to_record())
        assert again.mask(stored.context).reasons == (
            decision.mask.reasons
            if decision.group != "control"
            else tuple(
                None if (reason or "").startswith("holdout") else reason
                for reason in decision.mask.reasons
            )
        )
        assert replay(stored, again, Uniform(), SECRET) == decision


def remembered(run: Rollout) -> Memory:
    """Rebuild, from what was logged alone, what a ledger would know."""
    memory = Memory()
    past: list[tuple[datetime, int, Any]] = [(d.at, 0, d) for d in run.decisions]
    past += [(event.at, 1, event) for event in run.events]
    for _, kind, item in sorted(past, key=lambda entry: entry[:2]):
        if kind == 0:
            memory.keep(item, run.revision)
        else:
            memory.hear(item)
    return memory


@pytest.mark.parametrize(("example", "agent"), AGENTS)
@pytest.mark.parametrize("days", [6.3, 13.8])
def test_a_table_of_customers_gets_the_masks_of_one_by_one(
    example: str, agent: str, days: float
) -> None:
    run = lived(example, agent)
    at = run.decisions[0].at + timedelta(days=days)
    until = [decision for decision in run.decisions if decision.at <= at]
    then = [event for event in run.events if event.at <= at]
    memory = Memory()
    for decision in until:
        memory.keep(decision, run.revision)
    for event in then:
        memory.hear(event)
    latest = {decision.context.customer: decision.context.features for decision in until}
    contexts = [
        memory.recall(run.revision, customer, at, features) for customer, features in latest.items()
    ]
    usage = {key: amount for context in contexts for key, amount in context.usage.items()}
    masks = mask_table(
        run.revision,
        customer_table(run.revision.workspace, latest),
        at=at,
        contacts=past_table([(c.customer, contact) for c in contexts for contact in c.contacts]),
        events=past_table([(c.customer, event) for c in contexts for event in c.events]),
        usage=usage,
    )
    for context, allowed, reasons in zip(
        contexts, masks["allowed"].to_pylist(), masks["reasons"].to_pylist(), strict=True
    ):
        single = run.revision.mask(context)
        assert tuple(reasons) == single.reasons, context.customer
        assert allowed == single.allowed.tolist()


def customer_table(workspace: Workspace, features: dict[str, Any]) -> pa.Table:
    columns = {
        name: [customer.get(name) for customer in features.values()] for name in workspace.customer
    }
    return pa.table({"customer": list(features), **columns})


def past_table(entries: list[tuple[str, Any]]) -> pa.Table | None:
    if not entries:
        return None
    names = list(type(entries[0][1]).__slots__)
    columns = {name: [getattr(item, name) for _, item in entries] for name in names}
    return pa.table({"customer": [customer for customer, _ in entries], **columns})


TIGHT = ((r"(stock: .max: )[0-9]+", "2"), (r"(capacity: .max: )[0-9]+", "1"),
         (r"(end: )[-0-9]+", "2026-03-07"))  # fmt: skip


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copy every example, with limits so tight that they are soon reached."""
    folders = {}
    for example in EXAMPLES:
        folder = folders[example] = tmp_path_factory.mktemp(example) / example
        for path in write_example(example, folder):
            text = path.read_text(encoding="utf-8")
            for pattern, limit in TIGHT:
                text = re.sub(pattern, rf"\g<1>{limit}", text)
            path.write_text(text, encoding="utf-8")
    return folders


@cache
def lived_together(folder: Path) -> tuple[tuple[Revision, Decision], ...]:
    """Let all agents of a workspace meet the same customers, one memory between them."""
    revisions = list(load_workspace(folder).revisions.values())
    channels = revisions[0].workspace.channels.values()
    slots = ["", *(slot for channel in channels for slot in channel.placements)]
    world = create_world("generic", revisions[0], customers=40, rounds=8, every=timedelta(days=2))
    memory, made = Memory(), []
    met = [(world.opportunity(c, r), c) for c in range(40) for r in range(8)]
    for number, (at, customer) in enumerate(sorted(met)):
        revision, slot = revisions[number % len(revisions)], slots[number % len(slots)]
        name, features = world.customer_id(customer), world.features(customer, at)
        context = memory.recall(revision, name, at, features, placement=slot)
        decision = decide(revision, Uniform(), context, decision_id=str(number), secret=SECRET)
        memory.keep(decision, revision)
        made.append((revision, decision))
    return tuple(made)


@pytest.mark.parametrize("example", EXAMPLES)
def test_agents_that_share_customers_pass_the_independent_checker(
    example: str, tight: dict[str, Path]
) -> None:
    made = lived_together(tight[example])
    rows = [
        log_row(i, decision, revision, [], now=decision.at, key=KEY)
        for i, (revision, decision) in enumerate(made, start=1)
    ]
    assert {revision.agent.agent for revision, d in made if d.action} == set(revisions_of(example))
    assert list(check_log(log_table(rows), tight[example], hash_key=KEY)) == []


def test_every_kind_of_rule_has_barred_something(tight: dict[str, Path]) -> None:
    barred: set[str] = set()
    kinds: set[str] = set()
    made = [pair for example in EXAMPLES for pair in lived_together(tight[example])]
    made += [(run.revision, d) for run in (lived(*name) for name in AGENTS) for d in run.decisions]
    for revision, decision in made:
        reasons = {reason.partition(":")[0] for reason in decision.mask.reasons if reason}
        barred |= reasons & IMPLIED
        rules = {**revision.workspace.guardrails, **revision.agent.guardrails}
        kinds |= {rules[name].rule for name in reasons & set(rules)}
    declared = {
        get_args(member.model_fields["rule"].annotation)[0]
        for member in get_args(get_args(GuardrailSpec)[0])
    }
    # of supplied actions: agents/test_checker_loops.py
    assert kinds == declared - {"action_suppression"}
    assert barred == IMPLIED
