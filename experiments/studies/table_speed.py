"""A table of customers against the same customers one by one: decisions a second of both.

Both sides make the same decisions, bit for bit, and are timed in turn in every round; the table
includes reading and checking its columns, the single path is given contexts that are checked.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from agents.catalog import example_folder
from agents.context import Context
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import (
    Agent,
    Channel,
    CustomerField,
    Offer,
    Outcome,
    PolicySpec,
    Variant,
    Workspace,
)
from agents.tabular import mask_table
from agents.tabular.reading import read_batches
from experiments.studies.table import Figure, Study, publish
from policies.base import Policy
from policies.decide import decide
from policies.features.encode import Encoder
from policies.features.encode_table import encode_table
from policies.registry import create_policy
from policies.samples import sample_contexts, sample_lessons
from policies.table import decide_table

_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
_SECRET = b"study"
_CUSTOMERS, _ONE_BY_ONE, _LESSONS, _ROUNDS = 8_192, 256, 2_000, 5
_OFFERS, _VARIANTS, _FIELDS = 6, 2, 12


def open_revision() -> Revision:
    """Return an agent of 24 actions beside `none`, all of them always allowed."""
    fields = {f"number_{i}": CustomerField(type="number") for i in range(_FIELDS)}
    channels = {name: Channel() for name in ("email", "sms")}
    workspace = Workspace(
        workspace="open", currency="EUR", zone="UTC", customer=fields, channels=channels
    )
    words = {f"variant_{i}": Variant(text=f"words of the variant {i}") for i in range(_VARIANTS)}
    offer = Offer(kind="promotion", variants=words, channels=tuple(channels))
    agent = Agent(
        agent="open",
        outcomes={"bought": Outcome.model_validate({"value": 10.0, "window": "7d"})},
        offers={f"offer_{i}": offer for i in range(_OFFERS)},
    )
    return Revision(workspace, agent)


def guarded_revision() -> Revision:
    """Return the agent of an example: 24 actions beside `none`, ten guardrails."""
    with example_folder("telecom") as folder:
        loaded = load_workspace(folder)
    agent = loaded.revisions["retention"].agent
    spec = PolicySpec(learner="hybrid_thompson", floor=agent.policy.floor)
    return Revision(loaded.workspace, agent.model_copy(update={"policy": spec}))


@dataclass(frozen=True, slots=True)
class Crowd:
    """The same customers as tables and as contexts.

    Args:
        customers, contacts: as of `mask_table`; N rows, and C.
        contexts: N.
    """

    customers: pa.Table
    contacts: pa.Table
    contexts: list[Context]


def crowd_of(revision: Revision, count: int, seed: int) -> Crowd:
    """Make up customers, all of whom are decided for at one moment, as a ledger would recall."""
    contexts = []
    for made in sample_contexts(revision, count, np.random.default_rng(seed)):
        past = [replace(sent, at=sent.at - (made.at - _AT)) for sent in made.contacts]
        recent = tuple(sent for sent in past if sent.at > _AT - revision.lookback)
        contexts.append(replace(made, at=_AT, contacts=recent))
    unknown = dict.fromkeys(revision.workspace.customer)
    records = [{"customer": one.customer} | unknown | dict(one.features) for one in contexts]
    names = ("at", "agent", "offer", "kind", "channel", "action")
    sent = [
        {"customer": one.customer} | {name: getattr(contact, name) for name in names}
        for one in contexts
        for contact in one.contacts
    ]
    return Crowd(pa.Table.from_pylist(records), pa.Table.from_pylist(sent), contexts)


Side = Callable[[], object]


def sides(revision: Revision, policy: Policy, crowd: Crowd) -> dict[str, tuple[Side, Side]]:
    """Return, by part, how it is done one by one and for the table; both decide alike.

    One by one, only the first customers are done.
    """
    encoder, few = Encoder(revision), crowd.contexts[:_ONE_BY_ONE]
    for context in few:
        encoder.observe(context)
    (rows,) = read_batches(
        revision, crowd.customers, at=_AT, contacts=crowd.contacts, events=None, usage=None,
        batch=len(crowd.contexts),
    )  # fmt: skip
    ids = [str(number) for number in range(len(crowd.contexts))]
    return {
        "mask": (
            lambda: [revision.mask(context) for context in few],
            lambda: mask_table(revision, crowd.customers, at=_AT, contacts=crowd.contacts),
        ),
        "encode": (
            lambda: [encoder.encode(context) for context in few],
            lambda: encode_table(encoder, rows),
        ),
        "decide": (
            lambda: [
                decide(revision, policy, context, decision_id=name, secret=_SECRET)
                for name, context in zip(ids, few, strict=False)
            ],
            lambda: decide_table(
                revision, policy, crowd.customers, at=_AT, secret=_SECRET, decision_ids=ids,
                contacts=crowd.contacts,
            ),
        ),
    }  # fmt: skip


def measure(
    parts: Mapping[str, tuple[Side, Side]], counts: tuple[int, int], rounds: int
) -> dict[str, list[Figure | None]]:
    """Time both sides of each part in turn.

    Args:
        parts: as of `sides`.
        counts: customers on each side.
        rounds: of which the median is taken.

    Returns:
        By part: customers a second one by one, and as a table, and the median ratio of a round.
    """
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, both in parts.items():
            rates = []
            for side, count in zip(both, counts, strict=True):
                start = time.perf_counter()
                side()
                rates.append(count / (time.perf_counter() - start))
            seen[name].append((rates[0], rates[1]))
    return {
        name: [
            Figure(statistics.median(single for single, _ in found)),
            Figure(statistics.median(table for _, table in found)),
            Figure(statistics.median(table / single for single, table in found)),
        ]
        for name, found in seen.items()
    }


def study(rounds: int = _ROUNDS, count: int = _CUSTOMERS) -> Study:
    """Measure.

    Args:
        rounds: of which the median is taken, at least 1.
        count: customers of the table, at least 1.
    """
    rows: dict[str, list[Figure | None]] = {}
    for name, revision in (("all allowed", open_revision()), ("telecom", guarded_revision())):
        policy = create_policy(revision)
        policy.update(sample_lessons(revision, _LESSONS, np.random.default_rng(1)))
        parts = sides(revision, policy, crowd_of(revision, count, seed=2))
        measure(parts, (1, 1), 1)  # compiles what is compiled when first called
        found = measure(parts, (min(count, _ONE_BY_ONE), count), rounds)
        rows |= {f"{part}, {name}": figures for part, figures in found.items()}
    return Study(
        name="table_speed",
        title=f"Customers a second, {os.cpu_count()} cores, 24 actions, median of {rounds} rounds",
        columns=("one by one", "as a table", "ratio"),
        rows=rows,
        notes=("telecom: ten guardrails leave few actions to most customers",),
        params={"rounds": str(rounds), "customers": str(count)},
        digits=1,
    )


def run() -> None:
    """Measure and publish."""
    publish(study())


if __name__ == "__main__":
    run()
