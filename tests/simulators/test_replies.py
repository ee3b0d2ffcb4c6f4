from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agents.catalog import example_folder
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import CustomerEvent, Workspace
from agents.tabular.columns import instant_of, microseconds
from policies.hybrid import HybridThompson
from policies.state import unpack
from policies.uniform import Uniform
from simulators.replies import Replies
from simulators.rollout import rollout
from simulators.worlds.anything import Generic

SENT = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVENTS = {
    "opened": CustomerEvent(counts_as="response"),
    "declined": CustomerEvent(counts_as="rejection"),
    "bounced": CustomerEvent(counts_as="failure"),
    "visited": CustomerEvent(),
}
N = 4_000


def with_events(rich: Revision, *words: str) -> Workspace:
    return rich.workspace.model_copy(update={"events": {word: EVENTS[word] for word in words}})


@pytest.fixture(scope="module")
def found(rich: Revision) -> list[list[tuple[str, datetime]]]:
    replies = Replies(with_events(rich, *EVENTS), outcomes=(), seed=1)
    return [replies.after(customer, 0, SENT) for customer in range(N)]


@pytest.mark.parametrize(
    ("word", "share"),
    [
        ("opened", 0.25 * 0.98), ("declined", 0.05 * 0.98), ("bounced", 0.02),
        ("visited", 0.1 * 0.98),
    ],
)  # fmt: skip
def test_each_signal_has_its_share(
    found: list[list[tuple[str, datetime]]], word: str, share: float
) -> None:
    count = Counter(name for replies in found for name, _ in replies)[word]
    assert abs(count / N - share) < 4.0 * np.sqrt(share * (1.0 - share) / N)


def test_they_come_within_a_minute_to_a_day(found: list[list[tuple[str, datetime]]]) -> None:
    waits = np.array([(at - SENT) / timedelta(minutes=1) for replies in found for _, at in replies])
    assert waits.min() >= 1.0
    assert waits.max() < 1_440.0
    # Evenly on the logarithmic scale: half of them within sqrt(1440) minutes, four standard errors.
    early = float(np.mean(waits < np.sqrt(1_440.0)))
    assert abs(early - 0.5) < 4.0 * 0.5 / np.sqrt(len(waits))


def test_what_did_not_arrive_is_not_opened(found: list[list[tuple[str, datetime]]]) -> None:
    failed = [replies for replies in found if "bounced" in dict(replies)]
    assert failed
    assert {name for replies in failed for name, _ in replies} == {"bounced"}


def test_one_more_event_changes_no_other(
    rich: Revision, found: list[list[tuple[str, datetime]]]
) -> None:
    fewer = Replies(with_events(rich, "visited", "bounced", "opened"), outcomes=(), seed=1)
    for customer in range(300):
        kept = {reply for reply in found[customer] if reply[0] != "declined"}
        assert set(fewer.after(customer, 0, SENT)) == kept


def test_a_word_with_a_truth_of_its_own_is_left_out(rich: Revision) -> None:
    replies = Replies(with_events(rich, "opened"), outcomes=("opened",), seed=1)
    assert not any(replies.after(customer, 0, SENT) for customer in range(100))


def test_outcomes_and_rewards_are_the_same_with_and_without_them(rich: Revision) -> None:
    quiet = Generic(Revision(with_events(rich), rich.agent), customers=150, rounds=2)
    loud = Generic(Revision(with_events(rich, *EVENTS), rich.agent), customers=150, rounds=2)
    first, second = rollout(quiet, Uniform()), rollout(loud, Uniform())
    assert np.array_equal(first.expected, second.expected)
    assert np.array_equal(first.rewards(), second.rewards())
    kept = [event for event in second.events if event.outcome not in EVENTS]
    assert list(first.events) == kept
    assert len(second.events) > len(kept)
    replies = Counter(e.decision_id for e in second.events if e.outcome in EVENTS)
    silent = {d.decision_id for d in second.decisions if d.send_at is None}
    assert not silent & replies.keys()


def test_all_that_is_learned_from_them_is_that_contacts_were_answered(rich: Revision) -> None:
    states, unanswered = [], []
    for words in ((), ("declined", "bounced", "visited"), EVENTS):
        revision = Revision(with_events(rich, *words), rich.agent)
        learner = HybridThompson.create(revision)
        rollout(Generic(revision, customers=60, rounds=2), learner)
        states.append(learner.to_bytes())
        facts, arrays = unpack(learner.name, states[-1])
        _, mean, _ = arrays["moments"][facts["numbers"].index("contacts unanswered")]
        unanswered.append(mean)
    assert states[0] == states[1] != states[2]
    assert unanswered[0] == unanswered[1] > unanswered[2] > 0.0


@pytest.mark.parametrize(
    ("example", "agent", "word", "rule"),
    [
        ("streaming", "subscription", "muted", "muted"),
        ("retailer", "conversion", "dismissed", "no_more_after_dismissal"),
    ],
)
def test_guardrails_of_later_decisions_hear_of_them(
    example: str, agent: str, word: str, rule: str
) -> None:
    with example_folder(example) as folder:
        revision = load_workspace(folder).revisions[agent]
    run = rollout(Generic(revision, customers=200, rounds=4), Uniform())
    barred = [
        any((reason or "").startswith(f"{rule}: ") for reason in d.mask.reasons)
        for d in run.decisions
    ]
    heard = [any(event.event == word for event in d.context.events) for d in run.decisions]
    assert any(barred)
    assert all(known for bar, known in zip(barred, heard, strict=True) if bar)


def test_many_contacts_are_followed_by_what_follows_each_alone(rich: Revision) -> None:
    replies = Replies(with_events(rich, *EVENTS), outcomes=(), seed=1)
    rng = np.random.default_rng(2)
    customers, rounds = rng.integers(0, 99, (2, 300))
    sent = microseconds(SENT) + rng.integers(0, 10**12, 300)
    found = replies.after_many(customers, rounds, sent)
    names = replies.words
    for place in range(300):
        mine = found.row == place
        pairs = zip(found.word[mine].tolist(), found.at[mine].tolist(), strict=True)
        due = replies.after(int(customers[place]), int(rounds[place]), instant_of(int(sent[place])))
        assert [(names[word], instant_of(at)) for word, at in pairs] == due
    assert replies.after_many(customers[:0], rounds[:0], sent[:0]).row.size == 0
