"""What the ledger recalls is, item by item, what `agents.memory.Memory` recalls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agents.errors import ConflictError, ContextError, UnknownNameError
from agents.load import load_workspace
from agents.memory import Memory
from policies.arbitrate import Arbiter
from serving.clock import DrivenClock
from serving.deciding.active import ActiveAgents
from serving.deciding.decider import Decider, DecisionRequest
from serving.deciding.recall import recall
from serving.hearing.corrector import CorrectionRequest
from serving.hearing.elsewhere import ContactRequest
from serving.hearing.intake import Intake
from serving.hearing.objections import Objection
from serving.hearing.recorder import Recorder
from serving.hearing.reported import OutcomeRequest
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger
from serving.life.lifecycle import Lifecycle
from serving.life.written import Written
from serving.settings import Keys

START = datetime(2026, 3, 20, 9, tzinfo=UTC)  # a clock change and a new month and quarter follow
CUSTOMERS = ("ann", "bob")
FEATURES = {"likes": ["music"], "name": "Ann"}
WORDS = ("order", "complained", "opened", "bounced", "helped")
AGENTS = ("sales", "care")


CHANGES = ("retract", "restate", "release", "suppress", "lift", "meet")


class Step(NamedTuple):
    """One request: a decision, a report of a decision or of a customer, or a change of the past."""

    what: str
    customer: str
    agent: str
    minutes: int
    word: str
    which: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(("decide", "decide", "tell", "tell", "happen", *CHANGES)),
        st.sampled_from(CUSTOMERS),
        st.sampled_from(AGENTS),
        st.integers(0, 40 * 24 * 60),
        st.sampled_from(WORDS),
        st.integers(0, 5),
    ),
    min_size=5,
    max_size=25,
)


class Shop(NamedTuple):
    """The server's parts on one ledger, in one transaction."""

    ledger: SqliteLedger
    agents: ActiveAgents
    decider: Decider
    recorder: Recorder
    intake: Intake


@contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    """Open the parts of a server; ids are counted, so that draws are the same each time."""
    loaded = load_workspace(folder)
    with tempfile.TemporaryDirectory() as data, pytest.MonkeyPatch.context() as patch:
        ids = count()
        patch.setattr("serving.deciding.decider.new_id", lambda: f"d{next(ids)}")
        agents = ActiveAgents(loaded, SnapshotFolder(Path(data), b""))
        ledger = SqliteLedger.open(Path(data) / "ledger.sqlite")
        try:
            ledger.begin()
            keys, clock = Keys(b"draw", b"", b""), DrivenClock()
            for name, text in loaded.texts.items():
                written = Written(loaded.revisions[name], text, loaded.sources[name])
                Lifecycle(agents, clock).submit(ledger, written)
            decider = Decider(agents, Arbiter(loaded.workspace), keys, clock)
            intake = Intake.of(agents, clock, b"")
            yield Shop(ledger, agents, decider, intake.recorder, intake)
        finally:
            ledger.close()


def same_past(shop: Shop, memory: Memory, at: datetime) -> None:
    """Compare what both recall of every customer, for every agent."""
    for name in AGENTS:
        revision = shop.agents.current(shop.ledger, name).revision
        for customer in CUSTOMERS:
            theirs = memory.recall(revision, customer, at, FEATURES, placement="banner")
            ours = recall(shop.ledger, revision, customer, at, FEATURES, placement="banner")
            assert ours == theirs


def decide(shop: Shop, memory: Memory, step: Step, at: datetime) -> str:
    request = DecisionRequest(
        (step.agent,), step.customer, FEATURES, b"", at=at,
        placement=("", "banner", "footer")[step.which % 3],
    )  # fmt: skip
    made = shop.decider.decide(shop.ledger, request)
    memory.keep(made.decision, made.revision)
    return made.decision.decision_id


def tell(shop: Shop, memory: Memory, step: Step, number: int, at: datetime, made: list[str]) -> int:
    """Report an event to both; return how many outcomes it newly counts for."""
    named = made[step.which % len(made)] if step.what == "tell" and made else ""
    request = OutcomeRequest(
        f"o{number}", step.word, b"",
        decision_id=named, customer="" if named else step.customer,
        properties={"amount": 10.0 * step.which}, at=at,
    )  # fmt: skip
    try:
        recorded = shop.recorder.record(shop.ledger, request)
    except (ContextError, UnknownNameError):  # before its decision, or not a word of its agent
        return 0
    heard = recorded.event
    if not named:  # Memory credits it by itself, to the same decision
        heard = type(heard)(
            heard.outcome_id, "", heard.outcome, at, heard.properties, step.customer
        )
    assert tuple(memory.hear(heard)) == recorded.counted
    return len(recorded.counted)


def change(
    shop: Shop, memory: Memory, step: Step, number: int, at: datetime, made: list[str]
) -> bool:
    """Change what both think of the past; say whether anything was changed."""
    ledger, intake = shop.ledger, shop.intake
    try:
        match step.what:
            case "retract" | "restate":
                properties = None if step.what == "retract" else {"amount": 7.0}
                asked = CorrectionRequest(f"o{number}", f"o{step.which * 4}", b"", properties, at)
                done = intake.corrector.correct(ledger, asked)
                assert tuple(memory.correct(done.correction)) == done.lost
            case "release":
                chosen = made[step.which % len(made)] if made else "nothing"
                known = ledger.delivery(chosen)
                intake.deliverer.report(ledger, chosen, "released", at)
                assert memory.give_back(chosen) == (known is None)
            case "meet":
                asked_of = ContactRequest(f"c{number}", step.customer, "email", b"", at=at)
                intake.witness.record(ledger, asked_of)
                *_, met = [  # in order of commit, where two were at one instant
                    contact
                    for contact in ledger.contacts(step.customer, at - timedelta(seconds=1))
                    if contact.decision_id.startswith("elsewhere:") and contact.at == at
                ]
                memory.meet(step.customer, met)
            case _:
                channels = ((), ("email",), ("email", "web"))[step.which % 3]
                until = at + timedelta(days=step.which) if step.which % 2 else None
                asked_for = Objection(step.customer, channels, until, "", "test", at)
                if step.what == "lift":
                    intake.objections.lift(ledger, asked_for)
                    memory.lift(step.customer, channels)
                else:
                    for released in intake.objections.suppress(ledger, asked_for).released:
                        assert memory.give_back(released)
                    memory.suppress(step.customer, channels or ("*",), until)
    except (ConflictError, ContextError, UnknownNameError):  # of what is not there, or is final
        return False
    return True


@settings(max_examples=40, phases=[Phase.generate])  # shrinking would take minutes
@given(steps=STEPS)
def test_the_ledger_recalls_what_memory_recalls(shop: Path, steps: list[Step]) -> None:
    memory, made = Memory(), list[str]()
    with opened(shop) as server:
        for number, step in enumerate(steps):
            at = START + timedelta(minutes=step.minutes)
            if step.what == "decide":
                made.append(decide(server, memory, step, at))
            elif step.what in CHANGES:
                change(server, memory, step, number, at, made)
            else:
                tell(server, memory, step, number, at, made)
            same_past(server, memory, at)
        same_past(server, memory, START + timedelta(days=41))


def test_the_random_traffic_reaches_everything(shop: Path) -> None:
    """The property above would say little if nothing were contacted, counted or charged."""
    memory, made, counted = Memory(), list[str](), 0
    with opened(shop) as server:
        for number in range(60):
            at = START + timedelta(hours=number)
            step = Step("decide", "ann", AGENTS[number % 2], 0, WORDS[number % 5], number % 6)
            made.append(decide(server, memory, step, at))
            for what in ("tell", "happen"):
                told = step._replace(what=what, which=len(made) - 1)
                counted += tell(server, memory, told, 2 * number + (what == "tell"), at, made)
        revision = server.agents.current(server.ledger, "sales").revision
        context = recall(server.ledger, revision, "ann", at, FEATURES)
    measures = {counter.measure for counter in revision.counters}
    assert measures == {"contacts", "deliveries", "cost", "positives"}
    assert counted > 10
    assert len(context.contacts) > 20
    assert {event.event for event in context.events} >= {"order", "opened"}
    assert {event.agent for event in context.events} == {"", "sales", "care"}
    assert any(contact.includes for contact in context.contacts)
    assert sum(amount > 0 for amount in context.usage.values()) > 4


def test_changes_of_the_past_change_it(shop: Path) -> None:
    """The property above would say little if nothing were taken back."""
    memory, made, done = Memory(), list[str](), dict.fromkeys(CHANGES, 0)
    with opened(shop) as server:
        for number in range(0, 80, 4):
            at = START + timedelta(hours=number)
            step = Step("decide", "ann", AGENTS[number // 4 % 2], 0, "opened", number % 6)
            made.append(decide(server, memory, step, at))
            told = step._replace(what="tell", which=len(made) - 1)
            tell(server, memory, told, number, at, made)
            what = CHANGES[number // 4 % len(CHANGES)]
            which = number // 4 if what in ("retract", "restate") else number // 16
            step = step._replace(what=what, which=which)
            done[what] += change(server, memory, step, number + 1, at, made)
            same_past(server, memory, at)
    assert min(done.values()) > 0, done


def test_responses_are_recalled_for_learners_where_no_guardrail_hears(workspace: Path) -> None:
    """Without them, every contact of such an agent would count as unanswered."""
    with opened(workspace) as server:
        revision = server.agents.current(server.ledger, "retention").revision
        rules = (*revision.guardrails, *revision.rankings)
        assert not any("renewed" in rule.hears for rule in rules)
        request = DecisionRequest(("retention",), "ann", {}, b"", at=START)
        made = server.decider.decide(server.ledger, request)
        for number, word in enumerate(("renewed", "complained")):
            told = OutcomeRequest(
                f"o{number}", word, b"", decision_id=made.decision.decision_id, customer="",
                properties={}, at=START + timedelta(hours=1 + number),
            )  # fmt: skip
            server.recorder.record(server.ledger, told)
        at = START + timedelta(days=1)
        known = recall(server.ledger, revision, "ann", at, {}).events
        assert [event.event for event in known] == ["renewed"]
