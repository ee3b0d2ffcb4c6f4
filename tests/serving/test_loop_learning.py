"""A loop learns each decision once, when its window has ended: on a real ledger, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from agents.decisions import OutcomeEvent
from agents.errors import ConflictError
from agents.load import LoadedWorkspace, compile_agent, load_workspace
from agents.revision import Revision
from agents.supplied import supply
from policies.apprentice import split
from policies.arbitrate import Arbiter
from policies.base import Lesson
from policies.decide import replay
from policies.registry import create_policy, load_policy
from policies.teaching.wait import Ended, lesson_of_ended
from policies.vowpal.rank import VowpalRank
from serving.clock import DrivenClock
from serving.deciding.active import ActiveAgents
from serving.deciding.decider import Decided, Decider, DecisionRequest
from serving.hearing.corrector import CorrectionRequest, Corrector
from serving.hearing.deliverer import Deliverer
from serving.hearing.recorder import Recorder
from serving.hearing.reported import OutcomeRequest
from serving.learning.learner import ANEW, Learner
from serving.learning.listener import Listener
from serving.learning.snapshots import SnapshotFolder
from serving.learning.wait_pupil import WaitPupil
from serving.ledger import SqliteLedger, SqliteReader
from serving.life.lifecycle import Lifecycle
from serving.life.written import Written
from serving.settings import Keys

WORKSPACE = """\
workspace: news
currency: EUR
zone: Europe/Berlin
customer: {age: {type: integer}}
channels: {site: {}}
"""
AGENT = """\
agent: front
supplied: {channel: site}
outcomes:
  reward:
    value: {property: value, min: -1, max: 1, typical: 1}
    window: 10m
    count: each
    aggregate: first
    default: 0.25
    metric: primary
policy: {learner: vw_rank, floor: 0.2}
always_act: true
holdout: {control: 0, random: 0}
"""
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
SEGMENTS, TOPICS = ("old", "young"), ("news", "sport", "music")
LIKED = {"old": "news", "young": "music"}


class Loop:
    """The parts of a server on one ledger, in one open transaction, driven by a test."""

    def __init__(self, loaded: LoadedWorkspace, data: Path) -> None:
        self.loaded, self.data, self.now, self.sent = loaded, data, NOON, 0
        self.ledger = SqliteLedger.open(data / "ledger.sqlite")
        self.ledger.begin()
        self.agents = ActiveAgents(loaded, SnapshotFolder(data / "snapshots", b"k"))
        clock, self.keys = DrivenClock(), Keys(b"draw", b"", b"")
        self.lifecycle = Lifecycle(self.agents, clock)
        self.decider = Decider(self.agents, Arbiter(loaded.workspace), self.keys, clock)
        self.recorder = Recorder(self.agents, clock)
        self.corrector, self.deliverer = (
            Corrector(self.agents, clock),
            Deliverer(self.agents, clock),
        )

    def submit(self, text: str) -> Revision:
        revision = compile_agent(text, "front.yaml", self.loaded.workspace)
        self.lifecycle.submit(self.ledger, Written(revision, text, self.loaded.source))
        return revision

    def rank(self, segment: str = "old", *, defer: bool = False, baseline: str = "") -> Decided:
        """Ask for one of three articles, of which the ids are new each time."""
        self.sent += 1
        actions = {f"{topic}-{self.sent % 7}": [{"topic": topic}] for topic in TOPICS}
        supplied = supply([{"segment": segment}], actions, baseline=baseline)
        event = f"loop:front:{self.sent}"
        request = DecisionRequest(
            ("front",), event, {}, b"", key=event, at=self.now, supplied=supplied, defer=defer
        )
        return self.decider.decide(self.ledger, request)

    def reward(self, made: Decided, value: float, name: str = "r") -> str:
        decision = made.decision.decision_id
        outcome = f"{decision}:{name}"
        self.recorder.record(
            self.ledger,
            OutcomeRequest(outcome, "reward", b"", decision, "", {"value": value}, self.now),
        )
        return outcome

    def correct(self, outcome: str, name: str, value: float | None) -> None:
        properties = None if value is None else {"value": value}
        request = CorrectionRequest(f"{outcome}:{name}", outcome, b"", properties, self.now)
        self.corrector.correct(self.ledger, request)

    def report(self, made: Decided, state: Literal["delivered", "released"]) -> None:
        self.deliverer.report(self.ledger, made.decision.decision_id, state, self.now)

    def wait(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    def learner(self, every_s: float = 0.0, folder: str = "snapshots") -> Learner:
        """A learner that knows what its snapshots do."""
        self.ledger.commit()
        self.ledger.begin()
        reader = SqliteReader.open(self.data / "ledger.sqlite")
        learner = Learner(reader, SnapshotFolder(self.data / folder, b"k"), every_s)
        learner.resume()
        return learner


def learned(learner: Learner) -> WaitPupil:
    while learner.step():
        pass
    pupil = learner.pupils["front"]
    assert isinstance(pupil, WaitPupil)
    return pupil


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float | None]]:
    """The event and the value of each lesson that VW is told."""
    told: list[tuple[str, float | None]] = []
    update = VowpalRank.update

    def noting(policy: VowpalRank, lessons: list[Lesson]) -> None:
        told.extend((each.context.customer[11:], each.labels[0].value) for each in lessons)
        update(policy, lessons)

    monkeypatch.setattr(VowpalRank, "update", noting)
    return told


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    (tmp_path / "agents").mkdir()
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    (tmp_path / "agents" / "front.yaml").write_text(AGENT)
    made = Loop(load_workspace(tmp_path), tmp_path)
    with closing(made.ledger):
        made.submit(AGENT)
        yield made


def drive(loop: Loop, count: int, rng: np.random.Generator) -> list[bool]:
    """Rank and reward; return whether what was most likely is what the segment likes."""
    right = []
    for _ in range(count):
        segment = SEGMENTS[int(rng.integers(2))]
        made = loop.rank(segment)
        decision = made.decision
        best = decision.actions[int(decision.distribution.argmax())]
        right.append(best.startswith(LIKED[segment]))
        likes = 0.8 if decision.action_id.startswith(LIKED[segment]) else 0.2
        loop.reward(made, float(rng.random() < likes))
        loop.wait(0.1)
    return right


def take_up(loop: Loop) -> None:
    """Let the server decide with the newest snapshot."""
    active = loop.agents.current(loop.ledger, "front")
    newer = loop.agents.newer(active)
    assert newer is not None
    loop.agents.swap(active, *newer)


def test_the_greedy_share_goes_to_what_each_segment_likes(loop: Loop) -> None:
    rng, learner = np.random.default_rng(5), loop.learner()
    before = drive(loop, 200, rng)
    after: list[bool] = []
    for _ in range(9):
        loop.ledger.commit()
        loop.ledger.begin()
        learned(learner)
        learner.publish(force=True)
        take_up(loop)
        after = drive(loop, 200, rng)
    assert np.mean(before) < 0.6
    assert np.mean(after) > 0.95
    loop.ledger.commit()
    loop.ledger.begin()
    assert learned(learner).lessons >= 1_890  # all but those whose windows are open
    stored = [e.body["decision_id"] for e in learner.ledger.entries(0, 99_999)
              if e.kind == "decision"][-3:]  # fmt: skip
    for name in stored:
        found = learner.ledger.find_decision(name)
        assert found is not None
        decision = found.decision
        revision = loop.agents.deciding(loop.ledger, decision)
        policy = learner.snapshots.load("front", decision.snapshot, revision)
        again = replay(decision, revision, policy, loop.keys.draw)
        assert again.to_record() == decision.to_record()


def test_a_reward_is_learned_at_the_end_of_its_window_as_it_was_known_then(
    loop: Loop, heard: list[tuple[str, float | None]]
) -> None:
    plain, silent, twice = loop.rank(), loop.rank(), loop.rank()
    loop.wait(1)
    loop.reward(plain, 1.0)
    loop.reward(twice, -0.5)
    loop.wait(1)
    loop.reward(twice, 1.0, "later")  # the earliest stands
    loop.wait(7)
    learner = loop.learner()
    learned(learner)
    assert heard == []
    loop.wait(1)  # to the end, which the window does not include
    late = loop.rank()
    loop.wait(1)
    loop.reward(silent, 1.0)
    loop.ledger.commit()
    loop.ledger.begin()
    learned(learner)
    assert heard == [("1", 1.0), ("2", 0.25), ("3", -0.5)]
    loop.wait(60)
    loop.reward(late, 1.0)  # logged, and not learned
    loop.ledger.commit()
    loop.ledger.begin()
    assert learned(learner).lessons == 4
    assert heard[3:] == [("4", 0.25)]


def test_corrections_count_until_the_end_of_the_window(
    loop: Loop, heard: list[tuple[str, float | None]]
) -> None:
    restated, retracted, after = loop.rank(), loop.rank(), loop.rank()
    names = [loop.reward(made, 1.0) for made in (restated, retracted, after)]
    loop.reward(retracted, 0.5, "second")  # counts once the first is gone
    loop.wait(5)
    loop.correct(names[0], "x", -1.0)
    loop.correct(names[1], "x", None)
    loop.wait(6)
    loop.rank()
    loop.correct(names[2], "x", None)
    learned(loop.learner())
    assert heard == [("1", -1.0), ("2", 0.5), ("3", 1.0)]


def test_what_was_not_activated_is_not_learned(
    loop: Loop, heard: list[tuple[str, float | None]]
) -> None:
    shown, never, released = (loop.rank(defer=True) for _ in range(3))
    loop.wait(2)
    loop.reward(never, 1.0)
    loop.report(shown, "delivered")
    loop.reward(shown, 0.75)
    loop.report(released, "released")
    loop.wait(9)
    loop.rank()  # the log goes on before anybody has said that the second one has expired
    learner = loop.learner()
    pupil = learned(learner)
    assert heard == [("1", 0.75)]
    assert pupil.teacher.since == 3  # revision, shown, never
    assert loop.deliverer.expire(loop.ledger, loop.now, 10) == 1
    loop.wait(30)
    loop.rank()
    loop.ledger.commit()
    loop.ledger.begin()
    pupil = learned(learner)
    assert [name for name, _ in heard] == ["1", "4"]
    assert never.decision.decision_id != shown.decision.decision_id


def test_what_was_learned_is_not_released_any_more(
    loop: Loop, heard: list[tuple[str, float | None]]
) -> None:
    """A lesson of Vowpal Wabbit cannot be taken back; before it, a release leaves no trace."""
    kept, released, late = (loop.rank() for _ in range(3))
    never = loop.rank(defer=True)
    loop.reward(released, 1.0)
    loop.wait(9.99)
    loop.report(released, "released")
    loop.wait(0.01)
    with pytest.raises(ConflictError, match="has been learned since its window ended"):
        loop.report(late, "released")
    loop.report(never, "released")  # not activated, so not learned
    assert loop.ledger.delivery(late.decision.decision_id) is None
    loop.rank()
    pupil = learned(loop.learner())
    assert heard == [("1", 0.25), ("3", 0.25)]
    revision = loop.agents.revision(loop.ledger, kept.decision.revision)
    without = create_policy(revision)
    for made in (kept, late):
        without.update([lesson_of_ended(Ended(made.decision, revision), [])])
    assert pupil.state() == without.to_bytes()


def test_the_log_decides_whether_a_window_has_ended(loop: Loop) -> None:
    """Whoever releases late by an old clock: the learner has heard a later instant already."""
    made = loop.rank()
    loop.wait(10)
    loop.rank()
    loop.wait(-10)
    with pytest.raises(ConflictError, match="a loop forgets nothing"):
        loop.report(made, "released")


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_a_learner_that_dies_ends_in_the_same_bytes(
    loop: Loop, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    for number in range(60):
        made = loop.rank(SEGMENTS[number % 2], defer=number % 4 == 0)
        if number % 8 == 0:
            loop.report(made, "delivered" if number % 16 else "released")
        loop.wait(float(rng.uniform(0.0, 2.0)))
        if number % 3:
            outcome = loop.reward(made, float(rng.uniform(-1.0, 1.0)))
            if number % 5 == 0:
                loop.correct(outcome, "x", None if number % 2 else 0.5)
        if number % 10 == 9:
            loop.deliverer.expire(loop.ledger, loop.now, 100)
        if number == 30:
            loop.submit(AGENT.replace("default: 0.25", "default: 0").replace("0.2}", "0.1}"))
    whole = loop.learner(folder="whole")
    expected = learned(whole)
    whole.publish(force=True)
    monkeypatch.setattr("serving.learning.learner.BATCH", batch)
    pupil = None
    for _ in range(200):  # each time it dies after its snapshot, without a word
        part = loop.learner()
        for _ in range(3):
            read = part.step()
        part.publish(force=True)
        pupil = part.pupils["front"]
        if not read:
            break
    assert pupil is not None
    assert pupil.lessons == expected.lessons > 30
    assert pupil.state() == expected.state()
    assert part.snapshots.latest("front") == whole.snapshots.latest("front")


@pytest.mark.parametrize("batch", [1, 40])
def test_a_learner_that_is_reset_begins_anew_wherever_it_is_killed(
    loop: Loop, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, made = loop.learner(), list[Decided]()
    for number in range(30):
        made.append(loop.rank(SEGMENTS[number % 2]))
        loop.reward(made[-1], 1.0)
        loop.wait(1)
        if number == 19:
            standing = loop.ledger.standing("front")
            assert standing is not None
            loop.ledger.stand("front", standing, {ANEW: True, "at": loop.now.isoformat()})
    loop.wait(30)
    loop.rank()
    loop.ledger.commit()
    loop.ledger.begin()
    whole = learned(first)
    revision = loop.agents.revision(loop.ledger, made[0].decision.revision)
    untaught = create_policy(revision)
    # The windows of 20 had begun by the reset, and of ten of these had ended by the next entry.
    for each in made[10:]:
        event = OutcomeEvent("r", "d", "reward", each.decision.at, {"value": 1.0})
        untaught.update([lesson_of_ended(Ended(each.decision, revision), [event])])
    assert whole.state() == untaught.to_bytes()
    assert whole.lessons == 20
    monkeypatch.setattr("serving.learning.learner.BATCH", batch)
    for _ in range(200):
        part = loop.learner()
        for _ in range(3):
            read = part.step()
        part.publish(force=True)
        if not read:
            break
    assert part.pupils["front"].state() == whole.state()
    assert part.pupils["front"].lessons == whole.lessons


def test_an_apprentice_learns_what_the_caller_shows(loop: Loop) -> None:
    apprentice = AGENT.replace(
        "floor: 0.2}", "mode: apprentice, incumbent: {learner: first, floor: 0}}"
    )
    revision = loop.submit(apprentice)
    rng = np.random.default_rng(4)
    for _ in range(300):
        segment = SEGMENTS[int(rng.integers(2))]
        made = loop.rank(segment, baseline=f"{LIKED[segment]}-{(loop.sent + 1) % 7}")
        assert made.decision.propensity == 1.0
        assert made.decision.action_id.startswith(LIKED[segment])
        loop.reward(made, -1.0)  # whatever comes of it
        loop.wait(1)
    loop.wait(30)
    loop.rank()
    learner = loop.learner()
    pupil = learned(learner)
    assert pupil.lessons == 300
    online = load_policy("vw_rank", pupil.state(), loop.submit(AGENT))
    for segment in SEGMENTS:
        made = loop.rank(segment)
        answer = online.distribution(made.decision.context, made.decision.mask)
        best = made.decision.actions[int(answer.probabilities.argmax())]
        assert best.startswith(LIKED[segment])
    assert split(pupil.state())[0] != create_policy(revision).to_bytes()


def test_logging_only_keeps_what_was_learned(loop: Loop) -> None:
    rng, learner = np.random.default_rng(6), loop.learner()
    drive(loop, 200, rng)
    loop.ledger.commit()
    loop.ledger.begin()
    own = learned(learner).state()
    loop.submit(
        AGENT.replace("floor: 0.2}", "mode: logging, incumbent: {learner: first, floor: 0}}")
    )
    made = [loop.rank() for _ in range(50)]
    assert {each.decision.propensity for each in made} == {1.0}
    assert {each.decision.action_id[:4] for each in made} == {"news"}
    loop.wait(30)
    loop.rank()
    loop.ledger.commit()
    loop.ledger.begin()
    pupil = learned(learner)
    assert pupil.lessons == 100  # those whose windows ended before
    assert split(pupil.state())[0] == own
    assert split(pupil.state())[1] == "first"
    revision = loop.submit(AGENT)
    loop.rank()
    loop.ledger.commit()
    loop.ledger.begin()
    assert learned(learner).state() == load_policy("vw_rank", own, revision).to_bytes() == own


def test_an_agent_says_how_often_it_is_published(loop: Loop) -> None:
    loop.submit(AGENT.replace("0.2}", "0.2, publish_every: 1h}"))
    learner = loop.learner(every_s=0.0)
    published = []
    for _ in range(3):
        loop.rank()
        loop.wait(11)
        loop.ledger.commit()
        loop.ledger.begin()
        learned(learner)
        published += learner.publish()
    assert len(published) == 1
    assert len(learner.publish(force=True)) == 1
    loop.submit(AGENT.replace("0.2}", "0.2, publish_every: 1s}"))
    loop.ledger.commit()
    loop.ledger.begin()
    learned(learner)
    learner._published_at["front"] -= 2.0
    assert len(learner.publish()) == 1


def test_a_loop_that_turns_to_offers_begins_anew_and_back_again(loop: Loop) -> None:
    """Nothing of the one kind of teacher is taken for the other's."""
    offers = AGENT.replace(
        "supplied: {channel: site}",
        "offers: {tea: {kind: service, variants: {v: {text: Tea}}, channels: [site]}}",
    ).replace("    default: 0.25\n", "")
    learner = loop.learner()
    loop.rank()
    loop.submit(offers.replace("vw_rank", "hybrid_thompson"))
    loop.ledger.commit()
    loop.ledger.begin()
    while learner.step():
        pass
    assert learner.pupils["front"].policy.name == "hybrid_thompson"
    learner.publish(force=True)
    loop.submit(AGENT)
    loop.wait(20)
    loop.rank()
    loop.ledger.commit()
    loop.ledger.begin()
    again = loop.learner()
    pupil, straight = learned(again), learned(learner)
    assert pupil.state() == straight.state()
    assert pupil.lessons == straight.lessons == 0


@pytest.mark.parametrize(
    "policy",
    [
        "{learner: first}", "{learner: uniform}",
        "{learner: vw_rank, mode: logging, incumbent: {learner: first, floor: 0}}",
    ],
)  # fmt: skip
def test_what_learns_nothing_reads_nothing_again(
    loop: Loop, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    body = Listener.body

    def noting(listener: Listener, position: int) -> object:
        read.append(position)
        return body(listener, position)

    monkeypatch.setattr(Listener, "body", noting)
    loop.submit(AGENT.replace("{learner: vw_rank, floor: 0.2}", policy))
    for _ in range(5):
        loop.reward(loop.rank(), 1.0)
    loop.wait(20)
    loop.rank()
    learner = loop.learner()
    assert learned(learner).lessons == 0
    assert read == []
    loop.submit(AGENT)  # what waits still is learned by who comes after
    loop.wait(20)
    loop.rank()
    loop.ledger.commit()
    loop.ledger.begin()
    assert learned(learner).lessons == 1
    assert len(read) == 1


def test_a_deferred_decision_that_is_deleted_is_not_waited_for_for_ever(
    loop: Loop, heard: list[tuple[str, float | None]]
) -> None:
    """Nothing says any more what became of it; the log could never be pruned beyond it."""
    loop.rank(defer=True)
    loop.rank()
    learner = loop.learner()
    assert learned(learner).teacher.since == 2
    loop.wait(1)
    loop.ledger.append("erasure", {"agent": "front", "through": 3, "at": loop.now.isoformat()})
    loop.ledger.remove_decisions("front", 0, 3, 100)
    loop.wait(90)
    loop.rank()
    loop.ledger.commit()
    loop.ledger.begin()
    pupil = learned(learner)
    assert heard == []
    assert pupil.teacher.since == 5
    learner.publish(force=True)
    assert learned(loop.learner()).teacher.facts() == pupil.teacher.facts()
