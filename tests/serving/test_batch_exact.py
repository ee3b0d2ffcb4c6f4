"""A batch decides as one after another would: compared with a memory that keeps one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest

from agents.catalog import example_names, write_example
from agents.decisions import Decision, OutcomeEvent
from agents.groups import Group
from agents.load import load_workspace
from agents.memory import Memory
from agents.revision import Revision
from policies.arbitrate import Arbiter
from policies.decide import decide
from policies.samples import sample_contexts, sample_lessons
from serving.clock import DrivenClock
from serving.deciding.active import ActiveAgents
from serving.deciding.batch import Answer, BatchDecider
from serving.deciding.columnwise import Made
from serving.deciding.decider import Decided, Decider, DecisionRequest
from serving.hearing.elsewhere import ContactRequest
from serving.hearing.intake import Intake
from serving.hearing.objections import Objection
from serving.hearing.reported import OutcomeRequest
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger
from serving.ledger.packing import pack
from serving.life.lifecycle import Lifecycle
from serving.life.written import Written
from serving.settings import Keys

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = b"draw"


class Server(NamedTuple):
    """The server's parts on one ledger, in one transaction."""

    ledger: SqliteLedger
    decider: Decider
    intake: Intake


@contextmanager
def opened(folder: Path, data: Path) -> Iterator[Server]:
    """Open the parts of a server; ids are counted, so that draws are the same each time."""
    loaded = load_workspace(folder)
    agents, clock = ActiveAgents(loaded, SnapshotFolder(data, b"")), DrivenClock()
    ledger, ids, patch = SqliteLedger.open(data / "ledger.sqlite"), count(), pytest.MonkeyPatch()
    patch.setattr("serving.deciding.decider.new_id", lambda: f"d{next(ids)}")
    patch.setattr(
        "serving.deciding.columnwise._ids", lambda some: [f"d{next(ids)}" for _ in range(some)]
    )
    try:
        ledger.begin()
        for name, text in loaded.texts.items():
            written = Written(loaded.revisions[name], text, loaded.sources[name])
            Lifecycle(agents, clock).submit(ledger, written)
        decider = Decider(agents, Arbiter(loaded.workspace), Keys(SECRET, b"", b""), clock)
        yield Server(ledger, decider, Intake.of(agents, clock, b""))
    finally:
        patch.undo()
        ledger.close()


def teach(server: Server, agent: str) -> None:
    """Let the learner know something, so that probabilities differ."""
    active = server.decider.agents.lineup(server.ledger, agent).active
    active.policy.update(sample_lessons(active.revision, 60, np.random.default_rng(3)))


def requests_for(
    revision: Revision, at: datetime, size: int, random: Random, customers: int = 0, **more: Any
) -> list[DecisionRequest]:
    """Make up requests; a tenth of the customers comes again."""
    rng = np.random.default_rng(random.randrange(10**6))
    contexts = sample_contexts(revision, size, rng)
    names = [f"c{random.randrange(customers or 10 * size)}" for _ in contexts]
    names = [random.choice(names[:place]) if place and random.random() < 0.1 else name
             for place, name in enumerate(names)]  # fmt: skip
    return [
        DecisionRequest((revision.agent.agent,), name, context.features, b"", at=at, **more)
        for name, context in zip(names, contexts, strict=True)
    ]


def stored(server: Server, answers: list[Answer]) -> list[Decision]:
    """Return the decisions of a batch as the ledger has them, in the order of commit."""
    ids = []
    for answer in answers:
        assert isinstance(answer, (Decided, Made))
        ids.append(answer.decision_id if isinstance(answer, Made) else answer.decision.decision_id)
    found = [server.ledger.find_decision(name) for name in ids]
    rows = sorted((row for row in found if row is not None), key=lambda row: row.position)
    assert len(rows) == len(answers)
    return [row.decision for row in rows]


def follow(server: Server, memory: Memory, decisions: list[Decision], told: dict[str, Any]) -> None:
    """Decide again one after another, with the same ids, and compare everything."""
    for made in decisions:
        active = server.decider.agents.lineup(server.ledger, made.agent).active
        context, logged = made.context, made.context
        recalled = memory.recall(
            active.revision, context.customer, made.at, told[context.customer],
            placement=context.placement, channels=context.channels,
        )  # fmt: skip
        assert logged.usage.keys() == recalled.usage.keys()
        for key, amount in recalled.usage.items():
            assert math.isclose(logged.usage[key], amount, abs_tol=1e-9)
        single = decide(
            active.revision, active.policy, replace(recalled, usage=logged.usage),
            decision_id=made.decision_id, secret=SECRET, snapshot=active.snapshot,
        )  # fmt: skip
        assert made.to_record() == single.to_record()
        assert made.distribution.tobytes() == single.distribution.tobytes()
        memory.keep(made, active.revision)


def run(
    server: Server,
    agent: str,
    rounds: int,
    size: int,
    memory: Memory | None = None,
    hours: int = 30,
    restless: bool = False,
    **more: Any,
) -> list[list[Answer]]:
    """Decide batch after batch, with outcomes between, and follow each in memory."""
    memory, random = memory or Memory(), Random(agent)
    revision = server.decider.agents.lineup(server.ledger, agent).active.revision
    every = []
    for number in range(rounds):
        at = START + timedelta(hours=hours * number)
        requests = requests_for(revision, at, size, random, **more)
        told = {request.customer: request.features for request in requests}
        requests = [replace(r, features=told[r.customer]) for r in requests]
        answers = BatchDecider(server.decider).decide(server.ledger, requests)
        decisions = stored(server, answers)
        follow(server, memory, decisions, told)
        every.append(answers)
        for made in decisions[::3]:
            hear(server, memory, made, random.choice(sorted(revision.signals)), at, number)
        if restless:
            for made in decisions:
                unsettle(server, memory, made, at, random)
    return every


def unsettle(server: Server, memory: Memory, made: Decision, at: datetime, random: Random) -> None:
    """Release a contact, make one elsewhere, object or lift an objection, each now and then."""
    customer, chance, at = made.context.customer, random.random(), at + timedelta(hours=1)
    ledger, intake, name = server.ledger, server.intake, made.decision_id
    if chance < 0.2 and made.send_at is not None and ledger.delivery(name) is None:
        intake.deliverer.report(ledger, name, "released", at)
        memory.give_back(name)
    elif chance < 0.4:
        channel = random.choice(sorted(server.decider.agents.workspace.channels))
        intake.witness.record(ledger, ContactRequest(name, customer, channel, b"", at=at))
        known = reversed(ledger.contacts(customer, at - timedelta(seconds=1)))
        memory.meet(customer, next(c for c in known if c.at == at and not c.agent))
    elif chance < 0.7:
        channels = tuple(random.sample(sorted(server.decider.agents.workspace.channels), 1))
        until = at + timedelta(hours=random.randrange(1, 80))
        objection = Objection(customer, random.choice([(), channels]), until, "", "test", at)
        told = intake.objections.suppress(ledger, objection)
        memory.suppress(customer, objection.channels or ("*",), until)
        for decision_id in told.released:
            memory.give_back(decision_id)
    elif chance < 0.8:
        intake.objections.lift(ledger, Objection(customer, (), None, "", "test", at))
        memory.lift(customer)


def hear(
    server: Server, memory: Memory, made: Decision, word: str, at: datetime, number: int
) -> None:
    when, name = at + timedelta(hours=1), f"{number}-{made.decision_id}"
    revision = server.decider.agents.revision(server.ledger, made.revision)
    outcome = next((o for n, o in revision.agent.outcomes.items() if word == (o.event or n)), None)
    value = outcome.value if outcome is not None else 0.0
    properties = {} if isinstance(value, (int, float)) else {value.property: 10.0}
    request = OutcomeRequest(
        name, word, b"", decision_id=made.decision_id, properties=properties, at=when
    )
    recorded = server.intake.recorder.record(server.ledger, request)
    memory.hear(OutcomeEvent(name, made.decision_id, word, when, properties,
                             recorded.event.customer))  # fmt: skip


@pytest.mark.parametrize("example", [name for name in example_names() if name != "personalizer"])
def test_a_batch_is_what_one_after_another_is(example: str, tmp_path: Path) -> None:
    write_example(example, tmp_path / "workspace")
    with opened(tmp_path / "workspace", tmp_path) as server:
        memory = Memory()
        for agent in server.ledger.active():
            teach(server, agent)
            every = run(server, agent, 3, 60, memory)
            assert any(isinstance(answer, Made) for answers in every for answer in answers)


@pytest.mark.parametrize("example", ["telecom", "bank"])
def test_a_batch_knows_what_became_of_contacts_and_who_objects(
    example: str, tmp_path: Path
) -> None:
    write_example(example, tmp_path / "workspace")
    with opened(tmp_path / "workspace", tmp_path) as server:
        memory = Memory()
        for agent in server.ledger.active():
            every = run(server, agent, 5, 60, memory, 11, restless=True, customers=80)
            assert any(isinstance(answer, Made) for answers in every for answer in answers)
        kinds = {entry.kind for entry in server.ledger.entries(0, 10_000)}
        assert {"delivery", "contact", "suppression"} <= kinds


@pytest.fixture
def tight_shop(own_shop: Path) -> Path:
    """The shop, with budgets that run dry within some batches."""
    workspace, sales = own_shop / "workspace.yaml", own_shop / "agents" / "sales.yaml"
    text = workspace.read_text()
    text = text.replace("max: 100000, per: week}", "max: 90, per: week}")
    workspace.write_text(text.replace("{max: 100000, per: day}", "{max: 21, per: day}"))
    text = sales.read_text().replace("stock: {max: 100000}", "stock: {max: 24}")
    sales.write_text(text.replace("max: 100000, per: month}", "max: 0.855, per: month}"))
    return own_shop


def test_budgets_that_run_dry_inside_a_batch_are_exact(tight_shop: Path, tmp_path: Path) -> None:
    with opened(tight_shop, tmp_path) as server:
        every = run(server, "sales", 20, 12, hours=5)
        kinds = {type(answer) for answers in every for answer in answers}
        assert kinds == {Made, Decided}  # far from a limit together, near to it one by one
        decisions = [made for answers in every for made in stored(server, answers)]
    sent = [made for made in decisions if made.action]
    gadgets = [made for made in sent if made.action_id.startswith("gadget")]
    assert len(gadgets) == 24
    said = {reason for made in decisions for reason in made.mask.reasons if reason}
    for limit in ("stock of gadget", "capacity of email", "budget of"):
        assert any(limit in reason for reason in said), limit


def test_a_batch_that_may_not_be_followed_is_told(
    tight_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above finds a batch that does not watch its budgets."""
    monkeypatch.setattr("serving.deciding.columnwise.is_steady", lambda *_: True)
    with opened(tight_shop, tmp_path) as server, pytest.raises(AssertionError):
        run(server, "sales", 20, 12, hours=5)


def test_placements_and_channels_are_heard(own_shop: Path, tmp_path: Path) -> None:
    with opened(own_shop, tmp_path) as server:
        run(server, "sales", 2, 20, placement="banner")
    (tmp_path / "more").mkdir()
    with opened(own_shop, tmp_path / "more") as server:
        run(server, "sales", 2, 20, channels=("email",))


def test_a_decision_of_a_batch_lies_in_the_log_as_one_alone_does(tmp_path: Path) -> None:
    write_example("telecom", tmp_path / "workspace")
    with opened(tmp_path / "workspace", tmp_path) as server:
        made = [d for batch in run(server, "retention", 3, 40) for d in stored(server, batch)]
        sql = "SELECT id, record FROM log WHERE kind = 'decision'"
        records = {name: orjson.loads(record) for name, record in server.ledger._db.rows(sql)}
    assert {decision.group for decision in made} == set(Group)
    for decision in made:
        alone = orjson.dumps(pack(decision), option=orjson.OPT_SERIALIZE_NUMPY)
        assert records[decision.decision_id] == orjson.loads(alone)
