from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agents.catalog import write_example
from agents.errors import DocumentError, SnapshotError
from agents.groups import Group
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import PolicySpec
from policies.base import Lesson, Policy
from policies.decide import choose
from policies.registry import create_policy
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.teaching import delay
from policies.teaching.discount import Discounting, check_share
from policies.teaching.logged import Logged, windows_of
from policies.teaching.teacher import Teacher
from policies.teaching.warm import Past, begin_from, learn_history, succeed
from policies.uniform import Uniform

START = datetime.fromisoformat("2026-03-02T00:00:00+00:00")


def history_of(revision: Revision, count: int = 150) -> list[Past]:
    """Decisions six hours apart, half of them renewed."""
    rng = np.random.default_rng(8)
    windows = windows_of(revision)
    told = []
    for number, context in enumerate(sample_contexts(revision, count, rng)):
        at = START + number * timedelta(hours=6)
        decision = choose(
            revision, Uniform(), replace(context, at=at), sample_mask(revision, rng),
            Group.TREATMENT, decision_id=f"d{number}", secret=b"s", snapshot="",
        )  # fmt: skip
        late = min(0.99, rng.exponential(0.2)) * windows["renewed"]
        outcomes = (("renewed", at + late),) if rng.random() < 0.5 else ()
        told.append(Past(Logged(number + 1, decision, windows), outcomes))
    return told


def by_hand(revision: Revision, history: list[Past]) -> tuple[Policy, Teacher]:
    policy = create_policy(revision)
    logged = {past.logged.position: past.logged for past in history}
    teacher = Teacher(revision, logged.get)
    entries: list[tuple[datetime, int, str | None]] = []
    for past in history:
        entries.append((past.logged.decision.at, past.logged.position, None))
        entries += [(at, past.logged.position, name) for name, at in past.outcomes]
    entries.sort(key=lambda entry: entry[0])
    made = 0

    def told(at: datetime, position: int, outcome: str | None) -> Iterator[Lesson]:
        yield from teacher.until(at)
        if outcome is None:
            yield from teacher.decided(logged[position])
        else:
            yield from teacher.happened(logged[position], outcome, at, made + 1)

    for entry in entries:
        policy.update(list(told(*entry)))
        made = made if entry[2] else entry[1]
    return policy, teacher


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delay, "KNOWN", 12)
    monkeypatch.setattr(delay, "_EVERY", 3)


@pytest.mark.usefixtures("soon")
def test_a_history_teaches_what_it_would_have_taught_then(revision: Revision) -> None:
    history = history_of(revision)
    policy = create_policy(revision)
    warmed = learn_history(policy, revision, iter(history))
    expected, teacher = by_hand(revision, history)
    assert policy.to_bytes() == expected.to_bytes()
    assert policy.to_bytes() != create_policy(revision).to_bytes()
    assert warmed.lessons > len(history)
    curve = warmed.teacher["curves"]["renewed"]
    known = teacher.facts()["curves"]["renewed"]
    assert curve["inside"] == known["inside"]
    assert curve["versions"] == [[0, known["versions"][-1][1]]]
    assert warmed.teacher["since"] is None


@pytest.mark.usefixtures("soon")
def test_the_curves_of_a_history_are_known_from_the_first_decision_on(revision: Revision) -> None:
    history = history_of(revision)
    warmed = learn_history(create_policy(revision), revision, history)
    first = replace(history[0].logged, position=1)
    teacher = Teacher(revision, lambda _: first)
    assert teacher.restore(warmed.teacher) is None
    lessons = list(teacher.decided(first))
    lessons += teacher.until(first.decision.at + first.windows["renewed"])
    weights = [
        label.weight for lesson in lessons for label in lesson.labels if label.outcome == "renewed"
    ]
    assert len(weights) > 1  # else it would all be given at once, as while a curve is unknown
    assert sum(weights) == 1.0


def test_an_empty_history_teaches_nothing(revision: Revision) -> None:
    policy = create_policy(revision)
    assert learn_history(policy, revision, []).lessons == 0
    assert policy.to_bytes() == create_policy(revision).to_bytes()


def vary(revision: Revision, **policy: object) -> Revision:
    settled = PolicySpec.model_validate(policy)
    agent = revision.agent.model_copy(update={"agent": "beginner", "policy": settled})
    return Revision(revision.workspace, agent)


def taught(revision: Revision) -> Policy:
    policy = create_policy(revision)
    policy.update(sample_lessons(revision, 200, np.random.default_rng(4)))
    return policy


def test_another_agents_evidence_counts_by_its_share(revision: Revision) -> None:
    source = taught(revision)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(6))
    mask = sample_mask(revision, np.random.default_rng(6))
    warm = {"agent": revision.agent.agent}

    def expected(share: float) -> np.ndarray:
        policy = begin_from(source, vary(revision, warm_start=warm | {"share": share}))
        return policy.distribution(context, mask).expected

    believed = source.distribution(context, mask).expected
    start = create_policy(revision).distribution(context, mask).expected
    assert np.array_equal(expected(1.0), believed)
    assert np.allclose(expected(1e-9), start, atol=1e-6)
    far = [float(np.abs(expected(share) - believed).sum()) for share in (0.9, 0.5, 0.1)]
    assert far == sorted(far)
    assert far[0] > 0.0


def test_only_a_learner_of_the_same_kind_can_be_begun_from(revision: Revision) -> None:
    later = vary(revision, learner="beta_thompson", warm_start={"agent": "other", "share": 1.0})
    message = "^expected an agent with learner beta_thompson to begin from, got hybrid_thompson$"
    with pytest.raises(SnapshotError, match=message):
        begin_from(taught(revision), later)


def test_a_share_is_refused_where_evidence_cannot_be_discounted(revision: Revision) -> None:
    some = vary(revision, learner="uniform", warm_start={"agent": "other", "share": 0.5})
    with pytest.raises(ValueError, match=r"^policy\.warm_start\.share: expected 1, since uniform"):
        check_share(some, create_policy(some))
    every = vary(revision, learner="uniform", warm_start={"agent": "other", "share": 1.0})
    check_share(every, create_policy(every))
    assert isinstance(create_policy(revision), Discounting)
    check_share(vary(revision, warm_start={"agent": "other"}), create_policy(revision))


def test_an_incumbent_keeps_what_it_knew_and_any_other_begins_anew(revision: Revision) -> None:
    old = taught(vary(revision, learner="beta_thompson"))
    beside = vary(revision, mode="apprentice", incumbent={"learner": "beta_thompson"})
    (context,) = sample_contexts(revision, 1, np.random.default_rng(6))
    mask = sample_mask(revision, np.random.default_rng(6))
    new = succeed(old, beside).distribution(context, mask)
    assert np.array_equal(new.probabilities, old.distribution(context, mask).probabilities)
    online = vary(revision)
    assert succeed(old, online).to_bytes() == create_policy(online).to_bytes()


@pytest.mark.parametrize("mode", ["online", "apprentice"])
def test_an_incumbent_goes_on_when_its_apprentice_is_another_or_dismissed(
    revision: Revision, mode: str
) -> None:
    decides = {"learner": "beta_thompson"}
    old = taught(vary(revision, mode="apprentice", incumbent=decides))
    later = vary(revision, **decides)
    if mode == "apprentice":
        later = vary(revision, learner="greedy", mode=mode, incumbent=decides)
    (context,) = sample_contexts(revision, 1, np.random.default_rng(6))
    mask = sample_mask(revision, np.random.default_rng(6))
    new, was = (policy.distribution(context, mask) for policy in (succeed(old, later), old))
    assert np.array_equal(new.probabilities, was.probabilities)
    untaught = create_policy(later).distribution(context, mask)
    assert not np.array_equal(new.probabilities, untaught.probabilities)


@pytest.mark.parametrize("named", ["retention", "care"])
def test_to_begin_from_no_other_agent_is_refused(tmp_path: Path, named: str) -> None:
    write_example("telecom", tmp_path / "telecom")
    path = tmp_path / "telecom" / "agents" / "retention.yaml"
    text = path.read_text()
    path.write_text(text.replace("\npolicy:\n", f"\npolicy:\n  warm_start: {{agent: {named}}}\n"))
    message = f"policy.warm_start.agent: {named!r} is no other agent; none is declared"
    with pytest.raises(DocumentError, match=message):
        load_workspace(tmp_path / "telecom")
