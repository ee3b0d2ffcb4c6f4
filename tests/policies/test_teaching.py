"""The teacher against a made-up log: what is learned, how much, and after any interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.decisions import Decision
from agents.errors import SnapshotError
from agents.groups import Group
from agents.revision import Revision
from policies.base import Label, Lesson
from policies.decide import choose
from policies.samples import sample_contexts, sample_mask
from policies.teaching import delay
from policies.teaching.logged import Logged, lesson_of, windows_of
from policies.teaching.teacher import Teacher
from policies.uniform import Uniform

Entry = tuple[datetime, int, str | None]  # instant, decision, outcome
WINDOW = timedelta(days=4)


@cache
def decisions_of(
    revision: Revision, count: int, *, group: Group = Group.TREATMENT
) -> list[Decision]:
    rng = np.random.default_rng(5)
    return [
        choose(
            revision, Uniform(), context, sample_mask(revision, rng), group,
            decision_id=f"d{number}", secret=b"s", snapshot="",
        )
        for number, context in enumerate(sample_contexts(revision, count, rng))
    ]  # fmt: skip


@dataclass
class Log:
    """Decisions an hour apart, and entries in the order in which they were written."""

    revision: Revision
    decisions: list[Decision]
    entries: list[Entry]
    windows: dict[str, timedelta]

    def __post_init__(self) -> None:
        self.places = {n: p for p, (_, n, o) in enumerate(self.entries) if o is None}

    def teacher(self) -> Teacher:
        return Teacher(self.revision, self.logged)

    def logged(self, position: int) -> Logged:
        return Logged(position, self.decisions[self.entries[position][1]], self.windows)

    def tell(self, teacher: Teacher, position: int) -> Iterator[Lesson]:
        yield from teacher.until(self.entries[position][0])
        yield from self.own(teacher, position)

    def own(self, teacher: Teacher, position: int) -> Iterator[Lesson]:
        at, number, outcome = self.entries[position]
        if outcome is None:
            yield from teacher.decided(self.logged(position))
        else:
            logged = self.logged(self.places[number])
            yield from teacher.happened(logged, outcome, at, position)


def make_log(
    revision: Revision, decisions: Sequence[Decision], delays: Sequence[float | None]
) -> Log:
    """Let `renewed` follow decisions after delays in windows."""
    windows = dict.fromkeys(windows_of(revision), WINDOW)
    entries: list[Entry] = [(d.at, number, None) for number, d in enumerate(decisions)]
    for number, late in enumerate(delays):
        if late is not None:
            entries.append((decisions[number].at + late * WINDOW, number, "renewed"))
    entries.sort(key=lambda entry: (entry[0], entry[2] is not None))
    return Log(revision, list(decisions), entries, windows)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let curves be known after a few outcomes."""
    monkeypatch.setattr(delay, "KNOWN", 8)
    monkeypatch.setattr(delay, "_EVERY", 2)


@dataclass
class Sums:
    """The weights learned of one outcome, by decision."""

    outcome: str = "renewed"
    positive: dict[str, float] = field(default_factory=dict)
    negative: dict[str, float] = field(default_factory=dict)
    first: int = 0

    def learn(self, lessons: Iterator[Lesson]) -> None:
        for lesson in lessons:
            self.first += lesson.first
            for label in lesson.labels:
                if label.outcome == self.outcome:
                    sums = self.positive if label.happened else self.negative
                    who = lesson.context.customer
                    sums[who] = sums.get(who, 0.0) + label.weight


def delays_of(count: int, rate: float, seed: int = 3) -> list[float | None]:
    rng = np.random.default_rng(seed)
    late = np.minimum(rng.exponential(0.25, count), 0.999)
    return [
        float(d) if hit else None for d, hit in zip(late, rng.random(count) < rate, strict=True)
    ]


def test_before_the_curve_is_known_one_negative_at_once_and_the_outcome_later(
    revision: Revision,
) -> None:
    log = make_log(revision, decisions_of(revision, 2), [0.3, None])
    teacher = log.teacher()
    told = [list(log.tell(teacher, position)) for position in range(3)]
    negatives = tuple(Label(name, happened=False) for name in log.windows)
    assert [[(lesson.labels, lesson.first) for lesson in each] for each in told] == [
        [(negatives, True)],
        [(negatives, True)],
        [((Label("renewed", happened=True),), False)],
    ]
    assert list(teacher.until(log.decisions[1].at + 2 * WINDOW)) == []


def test_a_decision_is_learned_as_the_decision_it_was(revision: Revision) -> None:
    (decision,) = decisions_of(revision, 1)
    lesson = lesson_of(decision, revision)
    assert lesson is not None
    assert (lesson.context, lesson.mask) == (decision.context, decision.mask)
    assert (lesson.action, lesson.propensity) == (decision.action, decision.propensity)
    assert lesson.first


def test_a_decision_of_an_older_revision_is_learned_in_the_new_positions(
    revision: Revision,
) -> None:
    offers = dict(reversed(revision.agent.offers.items()))
    gone = next(iter(revision.agent.offers))
    kept = {name: offer for name, offer in offers.items() if name != gone}
    kept = {n: o.model_copy(update={"includes": ()}) for n, o in kept.items()}
    agent = revision.agent.model_copy(update={"offers": kept})
    later = Revision(revision.workspace, agent)
    for decision in decisions_of(revision, 40):
        lesson = lesson_of(decision, later)
        if revision.actions[decision.action].offer == gone:
            assert lesson is None
            continue
        assert lesson is not None
        assert later.action_ids[lesson.action] == decision.action_id
        old = dict(zip(decision.actions, decision.mask.reasons, strict=True))
        assert lesson.mask.reasons == tuple(old[name] for name in later.action_ids)


@pytest.mark.usefixtures("soon")
def test_absence_is_dripped_and_adds_up_to_one(revision: Revision) -> None:
    log = make_log(revision, decisions_of(revision, 300), delays_of(300, 0.4))
    teacher, sums = log.teacher(), Sums()
    for position in range(len(log.entries)):
        sums.learn(log.tell(teacher, position))
    sums.learn(teacher.until(log.decisions[-1].at + WINDOW))
    assert sums.first == 300
    assert teacher.since is None  # nothing is waiting any more
    weights = teacher._curve("renewed").weights(len(log.entries))
    assert weights is not None
    assert 0.2 < weights[0] < 0.5
    hits = {entry[1] for entry in log.entries if entry[2]}
    dripped = 0
    for number, decision in enumerate(log.decisions):
        who = decision.context.customer
        assert sums.positive.get(who, 0.0) == float(number in hits)
        if number not in hits:
            assert sums.negative[who] == 1.0  # exactly
        else:
            assert 0.0 <= sums.negative.get(who, 0.0) <= 1.0
            dripped += sums.negative.get(who, 0.0) < 1.0
    assert dripped > 60


@pytest.mark.usefixtures("soon")
def test_drip_settles_nearer_to_the_rate_than_one_negative_at_once(revision: Revision) -> None:
    """30,000 decisions at a rate of 8%: within three standard errors of p / (1 + c p), c < 0.5.

    With every negative at once it is p / (1 + p), which is more than three away from p.
    """
    count, rate = 30_000, 0.08
    few = decisions_of(revision, 200)
    start = few[0].at
    decisions = [
        replace(few[n % 200], decision_id=f"d{n}", at=start + n * timedelta(minutes=2))
        for n in range(count)
    ]
    delays = delays_of(count, rate, seed=11)
    log = make_log(revision, decisions, delays)
    log.windows = {"renewed": WINDOW}
    teacher = log.teacher()
    totals = np.zeros((2, 2))  # dripped or at once; negative and positive weight
    for position in range(len(log.entries)):
        for lesson in log.tell(teacher, position):
            for label in lesson.labels:
                totals[0, int(label.happened)] += label.weight
    for lesson in teacher.until(decisions[-1].at + WINDOW):
        totals[0, 0] += sum(label.weight for label in lesson.labels)
    hits = sum(late is not None for late in delays)
    totals[1] = count, hits
    dripped, at_once = totals[:, 1] / totals.sum(axis=1)
    p, error = hits / count, np.sqrt(rate * (1.0 - rate) / count)
    weights = np.array(teacher._curve("renewed").weights(len(log.entries)))
    c = float(np.sum(weights * (1.0 - np.cumsum(weights))))
    assert c < 0.5
    assert abs(dripped - rate / (1.0 + c * rate)) < 3.0 * error
    assert abs(dripped - rate) < 3.0 * error
    assert at_once == pytest.approx(p / (1.0 + p))
    assert abs(at_once - rate) > 3.0 * error


@pytest.mark.usefixtures("soon")
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.floats(0.0, 1.0), shuffled=st.booleans())
def test_interrupted_anywhere_it_goes_on_as_if_nothing_had_been(
    revision: Revision, seed: int, cut: float, shuffled: bool
) -> None:
    """Only its facts are kept; what was waiting is told again from the log."""
    count = 80
    log = make_log(revision, decisions_of(revision, count), delays_of(count, 0.5, seed))
    if shuffled:  # reports that come late, decisions of a clock set back
        rng = np.random.default_rng(seed)
        order = np.argsort(np.arange(len(log.entries)) + rng.uniform(0, 12, len(log.entries)))
        entries = [log.entries[place] for place in order]
        made = {n: p for p, (_, n, o) in enumerate(entries) if o is None}
        kept = [e for p, e in enumerate(entries) if e[2] is None or made[e[1]] < p]
        log = Log(revision, log.decisions, kept, log.windows)
    stop = int(cut * len(log.entries))
    whole = log.teacher()
    for position in range(stop):
        list(log.tell(whole, position))
    facts = whole.facts()
    again = log.teacher()
    since = again.restore(facts)
    assert (since is None) == (whole.since is None)
    again.silent = True
    for position in range(stop if since is None else since, stop):
        assert list(log.own(again, position)) == []
    again.silent = False
    assert again.facts() == facts
    assert again._watches == whole._watches
    for position in range(stop, len(log.entries)):
        ours, theirs = list(log.tell(again, position)), list(log.tell(whole, position))
        assert ours == theirs
    end = log.decisions[-1].at + 2 * WINDOW
    assert list(again.until(end)) == list(whole.until(end))
    assert again.facts() == whole.facts()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("late", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("retracted", [0.4, 0.95, 3.0])
@pytest.mark.parametrize("known", [True, False])
def test_what_is_retracted_leaves_a_decision_without_the_outcome(
    revision: Revision, late: float, retracted: float, known: bool
) -> None:
    retracted = max(retracted, late)
    decision = decisions_of(revision, 1)[0]
    log = make_log(revision, [decision], [late])
    teacher, sums = log.teacher(), Sums()
    if known:
        teacher._curve("renewed").versions.append((0, (0.25, 0.5, 0.75, 1.0)))
    for position in range(2):
        sums.learn(log.tell(teacher, position))
    sums.learn(teacher.until(decision.at + retracted * WINDOW))
    before = dict(sums.negative)
    sums.learn(teacher.retracted(log.logged(0), "renewed", log.entries[1][0]))
    sums.learn(teacher.until(decision.at + 4 * WINDOW))
    who = decision.context.customer
    assert sums.positive == {who: 0.0}
    assert sums.negative == {who: 1.0}
    assert known == (before != {who: 1.0})


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("late", [None, 0.05, 0.3])
@pytest.mark.parametrize("withdrawn", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("known", [True, False])
def test_a_contact_that_was_not_made_has_taught_nothing(
    revision: Revision, late: float | None, withdrawn: float, known: bool
) -> None:
    decision = decisions_of(revision, 1)[0]
    log = make_log(revision, [decision], [late])
    teacher, sums = log.teacher(), Sums()
    if known:
        teacher._curve("renewed").versions.append((0, (0.25, 0.5, 0.75, 1.0)))
    sums.learn(log.tell(teacher, 0))
    heard = late is not None and late <= withdrawn
    if heard:
        sums.learn(log.tell(teacher, 1))
    sums.learn(teacher.until(decision.at + withdrawn * WINDOW))
    counted = {"renewed": (1, log.entries[1][0])} if heard else {}
    sums.learn(teacher.withdrawn(log.logged(0), counted))
    sums.learn(teacher.until(decision.at + 4 * WINDOW))
    who = decision.context.customer
    assert sums.positive.get(who, 0.0) == 0.0
    assert sums.negative[who] == 0.0
    assert teacher.since is None
    assert not teacher.due(decision.at + 9 * WINDOW)


def test_of_several_only_the_last_retracted_brings_the_negatives_back(revision: Revision) -> None:
    decision = decisions_of(revision, 1)[0]
    log = make_log(revision, [decision], [0.3])
    teacher, sums = log.teacher(), Sums()
    teacher._curve("renewed").versions.append((0, (0.25, 0.5, 0.75, 1.0)))
    for position in (0, 1, 1):
        sums.learn(log.tell(teacher, position))
    sums.learn(teacher.until(decision.at + WINDOW))
    who, at = decision.context.customer, log.entries[1][0]
    assert (sums.positive[who], sums.negative[who]) == (2.0, 0.5)
    sums.learn(teacher.retracted(log.logged(0), "renewed", at, remaining=1))
    assert (sums.positive[who], sums.negative[who]) == (1.0, 0.5)
    sums.learn(teacher.retracted(log.logged(0), "renewed", at))
    assert (sums.positive[who], sums.negative[who]) == (0.0, 1.0)


def test_a_report_that_comes_late_takes_back_what_was_learned_meanwhile(
    revision: Revision,
) -> None:
    decision = decisions_of(revision, 1)[0]
    log = make_log(revision, [decision], [0.05])
    teacher, sums = log.teacher(), Sums()
    teacher._curve("renewed").versions.append((0, (0.25, 0.5, 0.75, 1.0)))
    sums.learn(log.tell(teacher, 0))
    sums.learn(teacher.until(decision.at + 0.6 * WINDOW))
    who = decision.context.customer
    assert sums.negative == {who: 1.0}
    sums.learn(log.tell(teacher, 1))
    sums.learn(teacher.until(decision.at + WINDOW))
    assert (sums.positive, sums.negative) == ({who: 1.0}, {who: 0.0})


@pytest.mark.parametrize("known", [True, False])
def test_a_weight_multiplies_all_that_a_decision_teaches(revision: Revision, known: bool) -> None:
    log = make_log(revision, decisions_of(revision, 1), [0.3])

    def labels(weight: float) -> list[Label]:
        teacher = Teacher(revision, lambda _: replace(log.logged(0), weight=weight))
        if known:
            teacher._curve("renewed").versions.append((0, (0.25, 0.5, 0.75, 1.0)))
        logged = replace(log.logged(0), weight=weight)
        told = [*teacher.decided(logged)]
        told += teacher.until(log.entries[1][0])
        told += teacher.happened(logged, "renewed", log.entries[1][0], 1)
        told += teacher.retracted(logged, "renewed", log.entries[1][0])
        told += teacher.until(log.entries[1][0] + 2 * WINDOW)
        return [label for lesson in told for label in lesson.labels]

    assert labels(10.0) == [label._replace(weight=10.0 * label.weight) for label in labels(1.0)]


def test_only_groups_that_teach_are_learned_from(revision: Revision) -> None:
    for group in Group:
        (decision,) = decisions_of(revision, 1, group=group)
        log = make_log(revision, [decision], [0.3])
        teacher = log.teacher()
        told = [lesson for position in range(2) for lesson in log.tell(teacher, position)]
        assert len(told) == (2 if group.teaches else 0)


def test_a_decision_that_is_gone_teaches_nothing_more(revision: Revision) -> None:
    log = make_log(revision, decisions_of(revision, 1), [None])
    teacher = Teacher(revision, lambda _: None)
    teacher._curve("renewed").versions.append((0, (0.25, 0.5, 0.75, 1.0)))
    assert len(list(log.tell(teacher, 0))) == 1
    assert list(teacher.until(log.decisions[0].at + WINDOW)) == []
    assert teacher.since is None


def test_a_recall_that_fails_for_now_loses_nothing(revision: Revision) -> None:
    log = make_log(revision, decisions_of(revision, 1), [None])
    broken = [True]

    def recall(position: int) -> Logged:
        if broken[0]:
            raise OSError("the disk is away")
        return log.logged(position)

    teacher, sums = Teacher(revision, recall), Sums()
    teacher._curve("renewed").versions.append((0, (0.25, 0.5, 0.75, 1.0)))
    sums.learn(log.tell(teacher, 0))
    end = log.decisions[0].at + WINDOW
    with pytest.raises(OSError, match="away"):
        sums.learn(teacher.until(end))
    broken[0] = False
    sums.learn(teacher.until(end))
    assert list(sums.negative.values()) == [1.0]


def test_outcomes_that_the_revision_no_longer_has_are_left_out(revision: Revision) -> None:
    outcomes = {n: o for n, o in revision.agent.outcomes.items() if n != "renewed"}
    assert outcomes
    agent = revision.agent.model_copy(update={"outcomes": outcomes})
    log = make_log(revision, decisions_of(revision, 1), [0.3])
    later = Revision(revision.workspace, agent)
    log.revision = later
    teacher = log.teacher()
    told = [lesson for position in range(2) for lesson in log.tell(teacher, position)]
    assert [{label.outcome for label in lesson.labels} for lesson in told] == [set(outcomes)]


def test_facts_that_are_none_are_refused(revision: Revision) -> None:
    teacher = Teacher(revision, lambda _: None)
    assert teacher.restore({}) is None
    for facts in ({"clock": "now"}, {"clock": 3}, {"clock": "2026-03-02T00:00:00Z", "curves": 1}):
        with pytest.raises(SnapshotError, match=r"^the state of a teacher lacks a part: "):
            teacher.restore(facts)
