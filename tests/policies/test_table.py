"""A table is decided as its customers are one by one: in every bit, for every example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import agents
from agents.context import Contact, Context, PastEvent
from agents.errors import StateError
from agents.groups import Group
from agents.load import load_workspace
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import CustomerField, PolicySpec
from agents.tabular.masks import Reasons
from agents.tabular.reading import read_batches
from policies.base import Distribution, Lesson, Policy
from policies.decide import decide
from policies.features.encode import Encoder
from policies.features.encode_table import encode_table
from policies.registry import POLICIES, create_policy
from policies.table import Drawn, TablePolicy, decide_table
from policies.uniform import Uniform

Row = dict[str, Any]  # of a table of contacts or events
SECRET = b"a key that is longer than one block of SHA-256, so that it has to be hashed at first"
ZONES = ("Europe/London", "Asia/Kathmandu", "America/Los_Angeles", "Australia/Lord_Howe")
MOMENTS = (
    datetime(2026, 3, 29, 0, 59, 59, 999_999, UTC),  # Europe's clocks go forward
    datetime(2026, 10, 25, 1, 0, tzinfo=UTC),  # and back
    datetime(2026, 6, 15, 18, 30, tzinfo=UTC),
)
FOLDERS = sorted(path.name for path in (Path(agents.__file__).parent / "examples").iterdir())
REVISIONS = {
    f"{folder}/{name}": revision
    for folder in FOLDERS
    for name, revision in load_workspace(
        Path(agents.__file__).parent / "examples" / folder
    ).revisions.items()
    if revision.agent.supplied is None
}
TEXTS = ("agent", "offer", "kind", "channel", "action")
PAST = [("customer", pa.string()), ("at", pa.timestamp("us", "UTC")),
        *((name, pa.string()) for name in TEXTS)]  # fmt: skip
CONTACTS, EVENTS = pa.schema(PAST), pa.schema([*PAST, ("event", pa.string())])


class Squares:
    """Probabilities in proportion to 1 + x^2 of some column: the same bits for one and for many."""

    name: ClassVar[str] = "squares"

    def __init__(self, revision: Revision) -> None:
        self.encoder = Encoder(revision)
        self._columns = np.arange(len(revision.actions)) % len(self.encoder.names)  # (A,)

    @classmethod
    def create(cls, revision: Revision) -> Self:
        return cls(revision)

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        raise NotImplementedError

    def shares(self, x: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
        weights = np.where(allowed, 1.0 + x[:, self._columns] ** 2, 0.0)  # (N, A)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        found = self.shares(self.encoder.encode(context)[None], mask.allowed[None])[0]
        return Distribution(found, np.full(len(found), np.nan))

    def update(self, lessons: Sequence[Lesson]) -> None:
        for lesson in lessons:
            self.encoder.observe(lesson.context)

    def to_bytes(self) -> bytes:
        raise NotImplementedError


class Many(Squares):
    """The same policy with a way for many."""

    def answers(
        self, x: NDArray[np.float64], allowed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.shares(x, allowed), np.full(allowed.shape, np.nan)


def value(random: Random, field: CustomerField, at: datetime) -> object:
    if random.random() < 0.15 and not field.required:
        return None
    low = -50.0 if field.min is None else field.min
    number = random.uniform(low, low + 90.0 if field.max is None else field.max)
    days = random.uniform(-random.choice((0, 1, 40, 400, 30_000)), 30)
    values: dict[str, object] = {
        "boolean": random.random() < 0.7,
        "category": random.choice(field.values or ("",)),
        "set": [one for one in field.values if random.random() < 0.5],
        "zone": random.choice(ZONES),
        "text": random.choice(("Ann", "Zoë")),
        "instant": at + timedelta(days=days, microseconds=random.randint(0, 3)),
        "integer": int(number),
        "number": number,
    }
    return values[field.type]


TYPES = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(),
         "set": pa.list_(pa.string()), "instant": pa.timestamp("us", "UTC")}  # fmt: skip


class Sample:
    """Random customers with a history, as tables and as what a ledger would recall."""

    def __init__(self, revision: Revision, count: int, seed: int) -> None:
        random = Random(seed)
        self.revision, self.at = revision, random.choice(MOMENTS)
        schema = revision.workspace.customer
        records = [
            {"customer": f"c{n}"} | {f: value(random, spec, self.at) for f, spec in schema.items()}
            for n in range(count)
        ]
        contacts = [self._past(random, count) for _ in range(3 * count)]
        words = [*sorted(revision.hears), *revision.signals, "unheard"]  # sets have no order
        events = [self._past(random, count) | {"event": random.choice(words)} for _ in contacts]
        types = [(name, TYPES.get(field.type, pa.string())) for name, field in schema.items()]
        table_schema = pa.schema([("customer", pa.string()), *types])
        self.customers = pa.Table.from_pylist(records, table_schema)
        self.contacts = pa.Table.from_pylist(contacts, CONTACTS)
        self.events = pa.Table.from_pylist(events, EVENTS)
        bare = [self._context(record, contacts, events) for record in records]
        keys = sorted({reading.key for one in bare for reading in revision.readings(one)})
        self.usage = {key: random.choice((0.0, 3.0, 1e6)) for key in keys}
        self.contexts = [replace(one, usage=self.usage) for one in bare]

    def _past(self, random: Random, count: int) -> Row:
        action = random.choice(self.revision.actions[1:])
        days = random.choice((-1, 0, 0, 1, 6, 7, 8, 29, 30, 31, 200))
        tick = timedelta(microseconds=random.choice((-1, 0, 1, 5_000_000)))
        return {
            "customer": f"c{random.randrange(count)}", "at": self.at - timedelta(days=days) + tick,
            "offer": action.offer, "kind": action.kind, "channel": action.channel,
            "action": action.id, "agent": random.choice((self.revision.agent.agent, "other")),
        }  # fmt: skip

    def _context(self, record: Row, contacts: list[Row], events: list[Row]) -> Context:
        revision, at = self.revision, self.at

        def own(rows: list[Row], back: timedelta) -> list[Row]:
            mine = [row for row in rows if row["customer"] == record["customer"]]
            kept = [row for row in mine if row["at"] > at - back]
            ordered = sorted(kept, key=lambda row: row["at"])
            return [{k: v for k, v in row.items() if k != "customer"} for row in ordered]

        heard = [PastEvent(**row) for row in own(events, revision.event_lookback)]
        return revision.context(
            record["customer"], at, {k: v for k, v in record.items() if k != "customer"},
            [Contact(**row) for row in own(contacts, revision.lookback)],
            events=[e for e in heard if e.at <= at and e.event in revision.hears],
        )  # fmt: skip

    def decided(self, policy: Policy, **more: Any) -> pa.Table:
        return decide_table(
            self.revision, policy, self.customers, at=self.at, secret=SECRET,
            contacts=self.contacts, events=self.events, usage=self.usage, **more,
        )  # fmt: skip


def taught(sample: Sample, kind: type[Squares] = Many) -> Squares:
    policy = kind(sample.revision)
    for context in sample.contexts[::2]:
        policy.encoder.observe(context)
    return policy


@pytest.mark.parametrize("name", REVISIONS)
def test_a_table_is_encoded_as_its_rows_are(name: str) -> None:
    for seed in range(6):
        sample = Sample(REVISIONS[name], 25, seed)
        encoder = taught(sample).encoder
        found = [
            encode_table(encoder, rows)
            for rows in read_batches(
                sample.revision, sample.customers, at=sample.at, contacts=sample.contacts,
                events=sample.events, usage=None, batch=10,
            )
        ]  # fmt: skip
        single = np.stack([encoder.encode(context) for context in sample.contexts])
        assert [len(part) for part in found] == [10, 10, 5]
        assert np.concatenate(found).tobytes() == single.tobytes()


@pytest.mark.parametrize("kind", [Many, Squares])
@pytest.mark.parametrize("name", REVISIONS)
def test_a_table_is_decided_as_its_rows_are(name: str, kind: type[Squares]) -> None:
    sample = Sample(REVISIONS[name], 30, 7)
    policy = taught(sample, kind)
    assert isinstance(policy, TablePolicy) is (kind is Many)
    table = sample.decided(policy, with_distribution=True, batch=11)
    for row, context in zip(table.to_pylist(), sample.contexts, strict=True):
        single = decide(
            sample.revision, policy, context, decision_id=row["decision_id"], secret=SECRET
        )
        assert np.array(row["distribution"]).tobytes() == single.distribution.tobytes()
        assert row == {
            "decision_id": single.decision_id, "customer": context.customer,
            "group": str(single.group), "action": single.action_id,
            "propensity": single.propensity, "allowed": int(single.mask.allowed.sum()),
            "distribution": single.distribution.tolist(),
        }  # fmt: skip


def test_explored_is_by_what_is_expected_or_else_by_chances() -> None:
    nothing = [np.nan, np.nan, np.nan]
    expected = np.array([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], nothing, nothing, nothing])
    chances = np.array(
        [[0.5, 0.2, 0.3], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6], [1, 1, 1]]
    )
    allowed = np.array([[True, True, True], [True, False, True]] + [[True, True, True]] * 3)
    actions = np.array([2, 2, 2, 1, 0])
    drawn = Drawn(
        np.zeros(5, np.intp), np.zeros((5, 3), np.int32), Reasons(), allowed, chances, chances,
        expected, actions,
    )  # fmt: skip
    assert drawn.explored.tolist() == [True, False, False, True, False]


def test_the_samples_reach_every_group_and_several_actions() -> None:
    """Else equality would say little."""
    groups: set[str] = set()
    drawn: set[str] = set()
    for revision in REVISIONS.values():
        sample = Sample(revision, 100, 3)
        table = sample.decided(taught(sample))
        groups |= set(table.column("group").to_pylist())
        drawn |= set(table.column("action").to_pylist())
    assert groups == set(Group)
    assert len(drawn) > 20


@pytest.mark.parametrize("name", POLICIES)
def test_a_table_in_which_nobody_is_treated(revision: Revision, name: str) -> None:
    agent = revision.agent.model_copy(update={"policy": PolicySpec(learner=name)})
    other = Revision(revision.workspace, agent)
    ids = [f"c{n}" for n in range(200)]
    held = [i for i in ids if other.group(other.context(i, MOMENTS[0], {})) != Group.TREATMENT]
    assert held
    customers = pa.table({"customer": held})
    found = decide_table(other, create_policy(other), customers, at=MOMENTS[0], secret=SECRET,
                         usage={})  # fmt: skip
    assert Group.TREATMENT not in found.column("group").to_pylist()
    assert found.num_rows == len(held)


def test_ids_are_given_or_made(revision: Revision) -> None:
    sample = Sample(revision, 5, 1)
    made = [sample.decided(Uniform()).column("decision_id").to_pylist() for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) == 5
    ids = [f"id-{n}" for n in range(5)]
    table = sample.decided(Uniform(), decision_ids=ids, batch=2)
    assert table.column("decision_id").to_pylist() == ids
    with pytest.raises(ValueError, match=r"^expected 5 decision ids, one a customer, got 4"):
        sample.decided(Uniform(), decision_ids=ids[:4])


def test_what_decided_is_named_and_an_empty_table_is_typed(revision: Revision) -> None:
    sample = Sample(revision, 3, 1)
    full = sample.decided(Uniform(), snapshot="s1")
    assert full.schema.metadata[b"snapshot"] == b"s1"
    assert full.schema.metadata[b"revision"].decode() == revision.id
    sample.customers = sample.customers.slice(0, 0)
    empty = sample.decided(Uniform(), snapshot="s1")
    assert (len(empty), empty.schema) == (0, full.schema)
    assert empty.schema.metadata == full.schema.metadata


def test_probabilities_that_are_none_are_refused(revision: Revision) -> None:
    class Broken(Many):
        def answers(
            self, x: NDArray[np.float64], allowed: NDArray[np.bool_]
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            return np.full(allowed.shape, np.nan), np.full(allowed.shape, np.nan)

    with pytest.raises(StateError, match="expected finite probabilities over the allowed actions"):
        Sample(revision, 20, 1).decided(Broken(revision))
