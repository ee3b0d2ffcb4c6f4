"""Learning from delay by the ledger's order: killed anywhere, it ends in the same bytes."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import agents
from agents.corrections import Correction
from agents.decisions import Decision, OutcomeEvent
from agents.errors import StateError
from agents.groups import Group
from agents.load import load_workspace
from agents.memory import past_event
from agents.revision import Revision
from agents.rewards import closes_at
from agents.spec import PolicySpec
from agents.spec.agent import Incumbent, WarmStart
from policies.base import Lesson, Policy
from policies.beta import BetaThompson
from policies.decide import choose
from policies.registry import create_policy, load_learner
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.teaching import delay
from policies.teaching.drip import Drip
from policies.teaching.labels import TableLearner
from policies.teaching.notes import Note, Noted
from policies.uniform import Uniform
from serving.learning.heard import Body
from serving.learning.learner import Learner
from serving.learning.listener import Listener
from serving.learning.pupils import AnyPupil, LessonPupil, TablePupil
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger, SqliteReader
from serving.ledger.revisions import Standing

KEY = b"k" * 32
START = datetime(2026, 3, 2, tzinfo=UTC)
Vary = Callable[..., Revision]


@pytest.fixture(scope="module")
def retention() -> Revision:
    folder = Path(agents.__file__).parent / "examples" / "telecom"
    return load_workspace(folder).revisions["retention"]


@pytest.fixture
def vary(retention: Revision) -> Vary:
    """Return the agent under another name, with another policy."""

    def build(name: str = "retention", **policy: object) -> Revision:
        settled = PolicySpec.model_validate({"floor": 0.02} | policy)
        changes = {"agent": name, "policy": settled}
        return Revision(retention.workspace, retention.agent.model_copy(update=changes))

    return build


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let curves be known after a few outcomes."""
    monkeypatch.setattr(delay, "KNOWN", 12)
    monkeypatch.setattr(delay, "_EVERY", 3)


@dataclass
class Writer:
    """Writes decisions six hours apart, and `renewed` after half of them, in the order of time.

    If it is restless, some outcomes are taken back, and some contacts were not made after all.
    """

    ledger: SqliteLedger
    rng: np.random.Generator
    now: datetime = START
    made: int = 0
    order: int = 0
    restless: bool = False

    def __post_init__(self) -> None:
        self.open: dict[str, tuple[int, Revision, Decision]] = {}  # decisions, by id
        self.told: dict[str, OutcomeEvent] = {}  # outcomes that stand, by decision
        self.coming: list[tuple[datetime, int, Revision, Decision]] = []

    def activate(self, revision: Revision) -> None:
        name, source = revision.agent.agent, revision.source
        self.ledger.put_revision(name, revision.id, yaml="", source=source, at=START, actor="")
        self.ledger.stand(name, Standing(revision.id), {})

    def decide(self, revision: Revision, count: int, hours: float = 6.0) -> None:
        for context in sample_contexts(revision, count, self.rng):
            self.now += timedelta(hours=hours)
            self.tell(self.now)
            self.made += 1
            mask = sample_mask(revision, self.rng)
            group = Group.CONTROL if self.made % 10 == 0 else Group.TREATMENT
            decision = choose(
                revision, Uniform(), replace(context, at=self.now), mask, group,
                decision_id=f"d{self.made}", secret=b"s", snapshot="",
            )  # fmt: skip
            decision = replace(decision, send_at=None)
            closes = closes_at(revision.agent, self.now)
            place = self.ledger.add_decision(decision, None, key=None, request=b"", closes=closes)
            self.open[decision.decision_id] = place, revision, decision
            if self.rng.random() < 0.5:
                window = revision.agent.outcomes["renewed"].window
                late = min(0.999, self.rng.exponential(0.2)) * window
                heapq.heappush(self.coming, (self.now + late, self.made, revision, decision))
            if self.restless:
                self.take_back()

    def tell(self, until: datetime) -> None:
        while self.coming and self.coming[0][0] <= until:
            at, _, revision, decision = heapq.heappop(self.coming)
            self.order += 1
            event = OutcomeEvent(
                f"o{self.order}", decision.decision_id, "renewed", at,
                customer=decision.context.customer,
            )  # fmt: skip
            counts = decision.decision_id in self.open
            self.ledger.add_outcome(
                event, past_event(event, None), counted=["renewed"] * counts, request=b"",
                closes=closes_at(revision.agent, decision.at),
            )  # fmt: skip
            if counts:
                self.told[decision.decision_id] = event

    def take_back(self) -> None:
        """Now and then take back an outcome, or a contact with all that has followed it."""
        if self.told and self.rng.random() < 0.2:
            event = self.told.pop(str(self.rng.choice(list(self.told))))
            self.order += 1
            self.ledger.add_correction(
                Correction(f"c{self.order}", event.outcome_id, self.now), event,
                lost=["renewed"], remaining={"renewed": 0}, request=b"", closes=self.now,
            )  # fmt: skip
        if self.rng.random() < 0.2:
            decision_id = str(self.rng.choice(list(self.open)))
            place, _, decision = self.open.pop(decision_id)
            known = self.told.pop(decision_id, None)
            counted = {} if known is None else {
                "renewed": {"count": 1, "at": known.at.isoformat()}
            }  # fmt: skip
            self.ledger.settle(
                decision_id, place, "released", {"counted": counted},
                customer=decision.context.customer, at=self.now, closes=self.now,
            )  # fmt: skip


@contextmanager
def written(path: Path, seed: int = 1, *, restless: bool = False) -> Iterator[Writer]:
    with closing(SqliteLedger.open(path)) as ledger:
        ledger.begin()
        yield Writer(ledger, np.random.default_rng(seed), restless=restless)
        ledger.commit()


@contextmanager
def learner(path: Path, folder: Path) -> Iterator[Learner]:
    with closing(SqliteReader.open(path)) as reader:
        learner = Learner(reader, SnapshotFolder(folder, KEY), every_s=0.0)
        learner.resume()
        yield learner


def learn_all(path: Path, folder: Path) -> dict[str, str | None]:
    """Learn what the ledger has, publish, and return the newest snapshots by agent."""
    with learner(path, folder) as whole:
        while whole.step():
            pass
        whole.publish(force=True)
        return {name: whole.snapshots.latest(name) for name in whole.pupils}


def files_of(folder: Path, names: dict[str, str | None]) -> dict[str, bytes]:
    return {agent: (folder / agent / f"{n}.snapshot").read_bytes() for agent, n in names.items()}


def fill(path: Path, vary: Vary, *, restless: bool = False) -> None:
    """Two agents, one of which falls idle and one of which changes."""
    first, second = vary(), vary("second", learner="beta_thompson", settings={})
    with written(path, restless=restless) as writer:
        writer.activate(first)
        writer.activate(second)
        writer.decide(first, 150)
        writer.decide(second, 60)
        writer.decide(first, 60)
        changed = vary(settings={"tau": 0.3})
        writer.activate(changed)
        writer.decide(changed, 90)


def erase(path: Path, customers: Iterable[str]) -> int:
    """Erase customers; return how many entries of the log they had."""
    with written(path) as writer:
        removed = [writer.ledger.erase(customer) for customer in customers]
        writer.ledger.append("erasure", {})
    return sum(each["log"] for each in removed)


def learn_in_lives(
    path: Path, folder: Path, seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str | None]:
    """Learn what the ledger has, and die again and again, sometimes without a word."""
    rng, done = np.random.default_rng(seed), False
    while not done:
        monkeypatch.setattr("serving.learning.learner.BATCH", int(rng.integers(1, most)))
        with learner(path, folder) as part:
            for _ in range(int(rng.integers(1, 4))):
                done = part.step() == 0
                if done or rng.random() < 0.7:
                    part.publish(force=True)
    return learn_all(path, folder)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("restless", [False, True])
def test_killed_anywhere_it_ends_in_the_same_bytes(
    vary: Vary, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch, *, restless: bool
) -> None:
    """Snapshot, state of the teacher and all: whole files are compared."""
    path = tmp_path / "ledger.sqlite"
    fill(path, vary, restless=restless)
    whole = learn_all(path, tmp_path / "whole")
    parts = learn_in_lives(path, tmp_path / "parts", seed, 200 if restless else 90, monkeypatch)
    assert parts == whole
    assert files_of(tmp_path / "parts", parts) == files_of(tmp_path / "whole", whole)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("learned", [0, 250])
def test_who_begins_after_an_erasure_ends_in_the_same_bytes(
    vary: Vary, tmp_path: Path, seed: int, learned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From nothing, or from snapshots that know of whom the log knows nothing any more."""
    path = tmp_path / "ledger.sqlite"
    fill(path, vary, restless=True)
    if learned:
        monkeypatch.setattr("serving.learning.learner.BATCH", learned)
        with learner(path, tmp_path / "whole") as before:
            before.step()
            assert before.publish(force=True)
        shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    assert erase(path, [f"customer-{number}" for number in range(0, 150, 3)]) > 100
    whole = learn_all(path, tmp_path / "whole")
    parts = learn_in_lives(path, tmp_path / "parts", seed, 200, monkeypatch)
    assert parts == whole
    assert files_of(tmp_path / "parts", parts) == files_of(tmp_path / "whole", whole)


@pytest.mark.usefixtures("soon")
def test_a_learner_of_tables_ends_in_the_bytes_of_lessons_one_by_one(
    vary: Vary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through revisions with other actions and outcomes, corrections and an erasure."""
    path = tmp_path / "ledger.sqlite"
    first = vary(settings={"half_life": 30})
    fewer = {n: offer for n, offer in first.agent.offers.items() if n != "bigger_plan"}
    heard = {n: outcome for n, outcome in first.agent.outcomes.items() if n != "upgraded"}
    with written(path, restless=True) as writer:
        for changes in ({}, {"offers": fewer}, {"outcomes": heard}, {}):
            agent = first.agent.model_copy(update=changes)
            revision = Revision(first.workspace, agent)
            writer.activate(revision)
            writer.decide(revision, 70)
        now, made, order = writer.now, writer.made, writer.order
    assert erase(path, [f"customer-{number}" for number in range(0, 60, 7)])
    with written(path, seed=3) as writer:
        writer.now, writer.made, writer.order = now, made, order
        writer.decide(revision, 40)
    tables = learn_all(path, tmp_path / "tables")

    def one_by_one(
        listener: Listener, revision: Revision, policy: Policy, position: int
    ) -> AnyPupil:
        return LessonPupil(listener, revision, policy, position)

    with learner(path, tmp_path / "tables") as whole:
        assert isinstance(whole.pupils["retention"], TablePupil)
    monkeypatch.setattr("serving.learning.learner.pupil_of", one_by_one)
    lessons = learn_all(path, tmp_path / "lessons")
    assert files_of(tmp_path / "tables", tables) == files_of(tmp_path / "lessons", lessons)


@pytest.mark.usefixtures("soon")
def test_of_decisions_whose_windows_are_open_nothing_is_read_again(
    vary: Vary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "ledger.sqlite", list[int]()
    fill(path, vary)
    body = Listener.body

    def counted(listener: Listener, position: int) -> Body | None:
        read.append(position)
        return body(listener, position)

    monkeypatch.setattr(Listener, "body", counted)
    with learner(path, tmp_path / "snapshots") as whole:
        while whole.step():
            pass
        until = whole.pupils["retention"].teacher.facts()["curves"]["renewed"]["versions"][0][0]
        mine = {
            entry.position for entry in whole.ledger.entries(0, 10_000)
            if entry.kind == "decision" and entry.body["agent"] == "retention"
            and entry.body["group"] == "treatment"
        }  # fmt: skip
        changed = [
            entry.position for entry in whole.ledger.entries(0, 10_000) if entry.kind == "revision"
        ][-1]
    # Before there is a curve nothing is kept, and another revision reads in another way.
    assert len(mine) > 150
    assert [each for each in read if each in mine and each > changed] == []
    assert until < changed


@pytest.mark.usefixtures("soon")
def test_what_learns_nothing_knows_the_same_and_reads_less(
    vary: Vary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "ledger.sqlite", list[int]()
    with written(path, restless=True) as writer:
        writer.activate(vary(learner="uniform", settings={}))
        writer.decide(vary(learner="uniform", settings={}), 150)
    body = Listener.body

    def counted(listener: Listener, position: int) -> Body | None:
        read.append(position)
        return body(listener, position)

    def one_by_one(
        listener: Listener, revision: Revision, policy: Policy, position: int
    ) -> AnyPupil:
        return LessonPupil(listener, revision, policy, position)

    monkeypatch.setattr(Listener, "body", counted)
    idle = learn_all(path, tmp_path / "idle")
    few = len(read)
    monkeypatch.setattr("serving.learning.learner.pupil_of", one_by_one)
    lessons = learn_all(path, tmp_path / "lessons")
    assert files_of(tmp_path / "idle", idle) == files_of(tmp_path / "lessons", lessons)
    assert 0 < few < (len(read) - few) / 3


@pytest.mark.usefixtures("soon")
def test_what_was_taken_back_is_as_if_it_had_never_been(vary: Vary, tmp_path: Path) -> None:
    """Told and taken back, the counts of a learner that only adds are those of what stands."""
    path, counting = tmp_path / "ledger.sqlite", vary(learner="beta_thompson", settings={})
    with written(path, restless=True) as writer:
        writer.activate(counting)
        writer.decide(counting, 120)
        writer.restless = False
        writer.now += timedelta(days=100)
        writer.tell(writer.now)
        writer.decide(counting, 1)
        stands = {
            name: name in writer.told
            for name, (_, _, decision) in writer.open.items()
            if decision.group is Group.TREATMENT and decision.at < writer.now
        }
    with learner(path, tmp_path / "snapshots") as whole:
        while whole.step():
            pass
        policy = whole.pupils["retention"].policy
        assert isinstance(policy, BetaThompson)
        renewed, complained = (policy._outcomes.index(name) for name in ("renewed", "complained"))
        counts = policy._counts
        assert counts.happened[:, :, renewed].sum() == pytest.approx(sum(stands.values()))
        assert counts.not_yet[:, :, complained].sum() == pytest.approx(len(stands) + 1)
        assert 60 < len(stands) < 110
        assert 10 < sum(stands.values()) < 60


@pytest.mark.usefixtures("soon")
def test_absence_was_dripped_and_each_outcome_learned_once(vary: Vary, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    fill(path, vary)
    with learner(path, tmp_path / "snapshots") as whole:
        while whole.step():
            pass
        pupil = whole.pupils["retention"]
        entries = whole.ledger.entries(0, 10_000)
        mine = {
            e.body["decision_id"]: e.body["group"]
            for e in entries
            if e.kind == "decision" and e.body["agent"] == "retention"
        }
        told = sum(
            mine.get(e.body["event"]["decision_id"]) == "treatment"
            for e in entries
            if e.kind == "outcome"
        )
        curves = pupil.teacher.facts()["curves"]
        assert curves["renewed"]["heard"] == told
        assert curves["renewed"]["versions"]
        made = sum(group == "treatment" for group in mine.values())
        assert pupil.lessons > made + told  # negatives came later, too


@pytest.mark.usefixtures("soon")
def test_an_idle_agent_learns_by_the_clock_of_the_whole_log(vary: Vary, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    first, second = vary(), vary("second")
    with written(path) as writer:
        for revision in (first, second):
            writer.activate(revision)
        writer.decide(first, 300)
    with learner(path, tmp_path / "snapshots") as before:
        while before.step():
            pass
        assert before.pupils["retention"].teacher.since is not None
        position, lessons = (
            getattr(before.pupils["retention"], n) for n in ("position", "lessons")
        )
    with written(path, seed=2) as writer:
        writer.now, writer.made = START + timedelta(days=300), 5_000
        writer.decide(second, 1)
    with learner(path, tmp_path / "snapshots") as after:
        while after.step():
            pass
        pupil = after.pupils["retention"]
        assert pupil.teacher.since is None
        assert (pupil.position, pupil.lessons) > (position, lessons)


@pytest.mark.usefixtures("soon")
def test_what_is_still_waited_for_is_not_pruned(vary: Vary, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    fill(path, vary)
    with learner(path, tmp_path / "snapshots") as whole:
        while whole.step():
            pass
        whole.publish(force=True)
        waiting = [p.teacher.since for p in whole.pupils.values() if p.teacher.since is not None]
        assert waiting
        assert whole.snapshots.learned() == min(waiting) - 1 < whole.position


@pytest.mark.usefixtures("soon")
def test_nothing_of_an_erased_customer_is_remembered(vary: Vary, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    fill(path, vary)
    with learner(path, tmp_path / "snapshots") as reading:
        while reading.step():
            pass
        teacher = reading.pupils["retention"].teacher
        assert isinstance(teacher, Drip)
        due = teacher._ahead[0]
        assert teacher.known(due.position)
        (entry,) = reading.ledger.entries(due.position - 1, 1)
        with written(path) as writer:
            writer.ledger.erase(entry.body["customer"])
            writer.ledger.append("erasure", {"customer": "hash"})
        while reading.step():
            pass
        assert teacher.known(due.position) is None
        assert teacher.recall(due.position) is None


def test_what_was_told_before_a_failure_is_learned(vary: Vary, tmp_path: Path) -> None:
    counting = vary(learner="beta_thompson", settings={})
    lessons = sample_lessons(counting, 20, np.random.default_rng(6))

    def telling() -> Iterator[Lesson]:
        yield from lessons
        raise StateError("the ledger cannot be read now")

    path = tmp_path / "ledger.sqlite"
    fill(path, vary)
    with closing(SqliteReader.open(path)) as reader:
        pupil = LessonPupil(Listener(reader), counting, create_policy(counting), 0)
        with pytest.raises(StateError):
            pupil._learn(telling())
    same = create_policy(counting)
    same.update(lessons)
    assert pupil.lessons == len(lessons)
    assert pupil.policy.to_bytes() == same.to_bytes()


def test_an_apprentice_learns_what_the_incumbent_decides_and_then_takes_over(
    vary: Vary, tmp_path: Path
) -> None:
    path, folder = tmp_path / "ledger.sqlite", tmp_path / "snapshots"
    incumbent = Incumbent(learner="beta_thompson", settings={})
    old = vary(learner="beta_thompson")
    beside = vary(mode="apprentice", incumbent=incumbent)
    with written(path) as writer:
        writer.activate(old)
        writer.decide(old, 40)
        writer.activate(beside)
        writer.decide(beside, 40)
    names = learn_all(path, folder)
    snapshots = SnapshotFolder(folder, KEY)
    name = names["retention"]
    assert name is not None
    manifest, state = snapshots.read("retention", name)
    apprentice = snapshots.load("retention", name, beside)
    alone = load_learner(manifest.policy, state, beside)
    assert manifest.policy == apprentice.name == "hybrid_thompson"
    context = sample_contexts(beside, 1, np.random.default_rng(3))[0]
    mask = beside.mask(context)
    answer, own = apprentice.distribution(context, mask), alone.distribution(context, mask)
    assert np.array_equal(answer.expected, own.expected)
    assert not np.array_equal(answer.probabilities, own.probabilities)

    with written(path, seed=5) as writer:
        writer.now, writer.made, writer.order = START + timedelta(days=60), 900, 900
        online = vary()
        writer.activate(online)
    later = learn_all(path, folder)["retention"]
    assert later is not None
    kept = load_learner(manifest.policy, state, online)
    assert snapshots.load("retention", later, online).to_bytes() == kept.to_bytes()


def test_the_incumbent_keeps_what_it_learned_as_the_learner(vary: Vary, tmp_path: Path) -> None:
    path, folder = tmp_path / "ledger.sqlite", tmp_path / "snapshots"
    incumbent = Incumbent(learner="beta_thompson", settings={})
    old, beside = vary(learner="beta_thompson"), vary(mode="apprentice", incumbent=incumbent)
    with written(path) as writer:
        writer.activate(old)
        writer.decide(old, 40)
        writer.activate(beside)
    learn_all(path, folder)
    snapshots = SnapshotFolder(folder, KEY)
    newest = snapshots.names("retention")[0]
    context = sample_contexts(beside, 1, np.random.default_rng(3))[0]
    mask = beside.mask(context)
    decided = snapshots.load("retention", newest, beside).distribution(context, mask)
    untaught = create_policy(beside).distribution(context, mask)
    assert not np.array_equal(decided.probabilities, untaught.probabilities)
    assert np.array_equal(decided.expected, untaught.expected)  # the learner is new


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("share", [1.0, 0.25])
def test_an_agent_begins_with_what_another_knows(
    vary: Vary, tmp_path: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    first = vary()
    second = vary("second", warm_start=WarmStart(agent="retention", share=share))
    with written(path) as writer:
        writer.activate(first)
        writer.decide(first, 120)
        writer.activate(second)
        writer.decide(first, 40)
    monkeypatch.setattr("serving.learning.learner.BATCH", 50)
    whole = learn_all(path, tmp_path / "whole")
    (only,) = SnapshotFolder(tmp_path / "whole", KEY).names("second")
    _, state = SnapshotFolder(tmp_path / "whole", KEY).read("second", only)
    with learner(path, tmp_path / "none") as plain:
        until = next(
            e.position for e in plain.ledger.entries(0, 1_000)
            if e.kind == "revision" and e.body["agent"] == "second"
        )  # fmt: skip
        monkeypatch.setattr("serving.learning.learner.BATCH", until - 1)
        plain.step()
        other = plain.pupils["retention"].policy.to_bytes()
    assert (state == other) == (share == 1.0)
    assert state != create_policy(second).to_bytes()
    monkeypatch.setattr("serving.learning.learner.BATCH", 7)
    for _ in range(60):
        with learner(path, tmp_path / "parts") as part:
            part.step()
            part.publish(force=True)
    parts = learn_all(path, tmp_path / "parts")
    assert files_of(tmp_path / "parts", parts) == files_of(tmp_path / "whole", whole)


def test_to_begin_from_nobody_is_to_begin_untaught(
    vary: Vary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.sqlite"
    other = vary("second", learner="beta_thompson")
    warm = vary("third", warm_start=WarmStart(agent="second", share=1.0))
    with written(path) as writer:
        writer.activate(other)
        writer.activate(warm)
    learn_all(path, tmp_path / "snapshots")
    assert "third begins untaught: there is no hybrid_thompson by second" in caplog.text


def noted(policy: Policy, lessons: Iterable[Lesson]) -> Iterator[Noted]:
    """Say the same as lessons, as a learner of tables is told it."""
    assert isinstance(policy, TableLearner)
    for position, lesson in enumerate(lessons, 1):
        x = np.array(policy.encoder.unscaled_of(lesson.context)).tobytes()
        note = Note(position, lesson.context.at, True, {}, lesson.action, x)
        yield Noted(note, lesson.labels, lesson.first)


def test_what_was_noted_before_a_failure_is_learned(vary: Vary, tmp_path: Path) -> None:
    revision, path = vary(), tmp_path / "ledger.sqlite"
    lessons = sample_lessons(revision, 20, np.random.default_rng(6))
    fill(path, vary)

    def telling() -> Iterator[Noted]:
        yield from noted(pupil.policy, lessons)
        raise StateError("the ledger cannot be read now")

    with closing(SqliteReader.open(path)) as reader:
        pupil = TablePupil(Listener(reader), revision, create_policy(revision), 0)
        with pytest.raises(StateError):
            pupil._learn(telling())
        assert pupil.lessons == len(lessons)
        learned = pupil.state()
        pupil.settle()  # there is nothing left to learn
        assert pupil.state() == learned
    same = create_policy(revision)
    same.update(lessons)
    assert learned == same.to_bytes()


@pytest.mark.usefixtures("soon")
def test_a_failure_between_noting_and_learning_leaves_the_same_bytes(
    vary: Vary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the machine has no memory left: the process ends, and the next one begins anew."""
    path = tmp_path / "ledger.sqlite"
    fill(path, vary)
    whole = learn_all(path, tmp_path / "whole")
    monkeypatch.setattr("serving.learning.learner.BATCH", 50)
    settle, times = TablePupil.settle, 0

    def failing(pupil: TablePupil) -> None:
        nonlocal times
        times += 1
        if times % 4 == 0:
            raise MemoryError
        settle(pupil)

    monkeypatch.setattr(TablePupil, "settle", failing)
    for _ in range(3):
        with learner(path, tmp_path / "parts") as part, pytest.raises(MemoryError):
            while part.step():
                part.publish(force=True)
    monkeypatch.undo()
    monkeypatch.setattr(delay, "KNOWN", 12)
    monkeypatch.setattr(delay, "_EVERY", 3)
    parts = learn_all(path, tmp_path / "parts")
    assert files_of(tmp_path / "parts", parts) == files_of(tmp_path / "whole", whole)


def test_what_one_agent_cannot_learn_keeps_no_other_from_learning(
    vary: Vary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.sqlite"
    fill(path, vary)
    whole = learn_all(path, tmp_path / "whole")

    def failing(_pupil: TablePupil) -> None:
        raise ArithmeticError("odd")

    monkeypatch.setattr(TablePupil, "settle", failing)
    with learner(path, tmp_path / "one") as one:
        while one.step():
            pass
        second = one.pupils["second"].policy.to_bytes()
        assert one.position == one.ledger.last_position()
    assert "what retention was told last cannot be learned and is passed over" in caplog.text
    with learner(path, tmp_path / "whole") as both:
        assert second == both.pupils["second"].policy.to_bytes()
    assert whole.keys() == {"retention", "second"}
