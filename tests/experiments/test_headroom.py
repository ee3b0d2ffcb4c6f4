"""The worlds of the headroom study are what they say, and its runs keep to their schedule."""

from __future__ import annotations

import numpy as np
import pytest
import typer
from numpy.typing import NDArray

from agents.decisions import Decision
from agents.groups import Group
from experiments.studies.headroom.__main__ import main
from experiments.studies.headroom.courses import COURSES, run_course
from experiments.studies.headroom.delay import DelayWorld, delay_world
from experiments.studies.headroom.dense import DENSE, dense
from experiments.studies.headroom.marketing import SHAPES, marketing
from experiments.studies.headroom.peers import PEERS, LinUCB, make_peer
from experiments.studies.headroom.runner import blocks, lesson, run_peer, run_policy
from experiments.studies.headroom.task import Task, headroom
from policies.decide import choose
from policies.registry import create_policy


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(p / (1.0 - p)))


@pytest.fixture(scope="module")
def small() -> Task:
    return marketing(24, 2_000, seed=3)


@pytest.fixture(scope="module")
def late() -> DelayWorld:
    return delay_world(1_200, seed=1)


def test_uniform_is_zero_and_nothing_beats_the_oracle(small: Task) -> None:
    uniform = small.allowed / small.allowed.sum(axis=1, keepdims=True)
    assert headroom(small, uniform) == pytest.approx(0.0, abs=1e-9)
    best = np.where(small.allowed, small.expected(), -np.inf).argmax(axis=1)
    oracle = np.eye(small.allowed.shape[1])[best]
    assert headroom(small, oracle) == pytest.approx(100.0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        some = np.where(small.allowed, rng.exponential(size=small.allowed.shape), 0.0)
        assert headroom(small, some / some.sum(axis=1, keepdims=True)) < 100.0


@pytest.mark.parametrize("actions", SHAPES)
@pytest.mark.parametrize("wild", [False, True])
def test_rates_of_the_marketing_worlds(actions: int, wild: bool) -> None:
    task = marketing(actions, 2_000, seed=1, misspecified=wild)
    contacts = task.allowed.copy()
    contacts[:, 0] = False
    assert task.allowed.shape[1] == actions + 1
    assert 0.017 < task.chance[:, :, 1][contacts].mean() < 0.019
    by_action = np.array(
        [task.chance[task.allowed[:, a], a, 1].mean() for a in range(1, actions + 1)]
    )
    low, high = np.quantile(by_action, [0.1, 0.9])
    assert 0.003 < low < 0.015 < high < 0.05
    assert task.chance[:, 0, 1].mean() < 0.018  # fewer buy when left alone


def test_what_happens_follows_the_chances(small: Task) -> None:
    spread = np.sqrt((small.chance * (1.0 - small.chance)).sum(axis=0))  # (A, O), luck is shared
    z = (small.happened - small.chance).sum(axis=0)[1:] / spread[1:]
    assert np.abs(z).max() < 4.5


def test_masks_leave_none_and_offers_come_and_go(small: Task) -> None:
    assert small.allowed[:, 0].all()
    offer, n = small.levels[:, 0], len(small)
    seen = [np.atleast_1d(small.allowed[:, offer == i].any(axis=1)) for i in range(4)]
    assert not seen[0][: int(0.3 * n)].any()
    assert seen[0][int(0.3 * n) :].any()
    assert not seen[3][int(0.6 * n) :].any()
    assert seen[1][: n // 4].any()
    assert seen[1][-n // 4 :].any()


def test_only_the_misspecified_world_leaves_the_model() -> None:
    fits = []
    for wild in (False, True):
        task = marketing(24, 4_000, seed=0, misspecified=wild)
        half = slice(0, len(task) // 2)
        whole = np.array([len(known) == 9 for known in task.features[half]])  # nothing missing
        x = np.hstack([np.ones((whole.sum(), 1)), task.x[half][whole]])
        eta = _logit(task.chance[half][whole][:, 1:, 1])  # (n, A)
        fitted = x @ np.linalg.lstsq(x, eta, rcond=None)[0]
        fits.append(float(1.0 - (eta - fitted).var(axis=0).sum() / eta.var(axis=0).sum()))
    assert fits[0] == pytest.approx(1.0, abs=1e-9)
    assert fits[1] < 0.8


def test_weights_move_at_half_time() -> None:
    task = marketing(24, 4_000, seed=0)
    ones = np.hstack([np.ones((len(task), 1)), task.x])
    whole = np.array([len(known) == 9 for known in task.features])
    eta = _logit(task.chance[:, 1, 1])
    early = whole & (np.arange(len(task)) < 2_000)
    late = whole & ~early
    weights = np.linalg.lstsq(ones[early], eta[early], rcond=None)[0]
    assert np.allclose(ones[early] @ weights, eta[early])
    assert not np.allclose(ones[late] @ weights, eta[late], atol=0.1)


def test_worlds_are_functions_of_their_seed(small: Task) -> None:
    again, other = marketing(24, 2_000, seed=3), marketing(24, 2_000, seed=4)
    for name in ("x", "allowed", "chance", "happened", "draws"):
        assert np.array_equal(getattr(small, name), getattr(again, name))
        assert not np.array_equal(getattr(small, name), getattr(other, name))
    assert small.features == again.features


def test_policies_are_told_what_the_arrays_say(small: Task) -> None:
    revision = small.revision("uniform")
    assert [action.cost for action in revision.actions] == small.costs.tolist()
    names = [(a.offer, a.channel, a.window) for a in revision.actions]
    assert names[0] == ("", "", "")
    for name, (offer, channel, window) in zip(names[1:], small.levels[1:].tolist(), strict=True):
        assert name == (f"offer_{offer}", f"channel_{channel}", f"window_{window}")
    worth = [outcome.worth for outcome in revision.agent.outcomes.values()]
    assert worth == small.values.tolist()
    for t in (0, 7, 1_999):
        assert small.mask(t).allowed.tolist() == small.allowed[t].tolist()
        features = small.context(t).features
        assert features.get("age", 0.0) == small.x[t, 0]
        assert ("age" not in features) == bool(small.x[t, 1])
        revision.context("c", small.context(t).at, features)  # keeps to the schema


def test_dense_tasks_pay_for_the_right_class_only() -> None:
    for name in DENSE:
        task = dense(name, 150, seed=2)
        assert len(task) == 150
        assert not task.allowed[:, 0].any()
        assert (task.chance.sum(axis=(1, 2)) == 1.0).all()
        assert len(task.revision("uniform").actions) == task.allowed.shape[1]


def test_batches_are_learned_one_batch_late(small: Task) -> None:
    made = list(blocks(small, 1_100))
    assert made[1] == (slice(250, 500), slice(0, 0))
    assert made[2] == (slice(500, 750), slice(0, 250))
    assert made[-1] == (slice(1_000, 1_100), slice(500, 750))
    at_once = list(blocks(dense("wine", 3), 3))
    assert at_once == [
        (slice(0, 1), slice(0, 0)), (slice(1, 2), slice(0, 1)), (slice(2, 3), slice(1, 2)),
    ]  # fmt: skip


def test_lessons_tell_what_happened(small: Task) -> None:
    revision = small.revision("uniform")
    t, action = (int(i) for i in np.argwhere(small.happened[:, :, 1])[0])
    told = lesson(small, revision, t, action, 0.5)
    assert told.first
    assert [label.happened for label in told.labels] == small.happened[t, action].tolist()
    assert [label.outcome for label in told.labels] == ["click", "purchase", "unsubscribe"]


def test_linucb_is_ridge_regression_as_mabwiser_has_it() -> None:
    rng = np.random.default_rng(5)
    x, actions, rewards = rng.normal(size=(60, 4)), rng.integers(3, size=60), rng.normal(size=60)
    ours = LinUCB(3, 4, 0.1)
    theirs = make_peer("mabwiser LinUCB .1", 3, 4, seed=0)
    for peer in (ours, theirs):
        peer.learn(x, actions, rewards)
    assert np.allclose(ours.scores(x), theirs.scores(x))
    own = x[actions == 1]
    theta = np.linalg.solve(np.eye(4) + own.T @ own, own.T @ rewards[actions == 1])
    assert np.allclose(LinUCB(1, 4, 0.0).scores(x), 0.0)
    bonus = 0.1 * np.sqrt(np.einsum("nc,cd,nd->n", x, np.linalg.inv(np.eye(4) + own.T @ own), x))
    assert np.allclose(ours.scores(x)[:, 1], x @ theta + bonus)


@pytest.mark.parametrize("name", PEERS)
def test_peers_keep_masks_and_learn(name: str) -> None:
    task = dense("wine", seed=0)
    peer = make_peer(name, task.allowed.shape[1], 1 + task.x.shape[1], seed=0)
    answers = run_peer(task, peer)
    assert (answers[~task.allowed] == 0.0).all()
    assert headroom(task, answers) > 60.0


def test_runs_of_policies_repeat_and_keep_masks(small: Task) -> None:
    first = run_policy(small, "hybrid_thompson", decisions=800)
    assert np.array_equal(first, run_policy(small, "hybrid_thompson", decisions=800))
    assert (first[~small.allowed[:800]] == 0.0).all()
    assert np.allclose(first.sum(axis=1), 1.0)
    share = 0.02 / small.allowed[:800].sum(axis=1, keepdims=True)
    assert (first >= share * small.allowed[:800] * (1.0 - 1e-9)).all()


def test_delays_are_exponential_inside_the_window(late: DelayWorld) -> None:
    delays = late.heard - np.arange(len(late.task))
    assert delays.min() >= 1
    assert delays.max() <= late.window
    mean, window = 100.0, 400.0  # decisions: 1,200 of 24,000 shrink both by 20
    expected = mean - window / np.expm1(window / mean) + 0.5  # rounded up
    assert delays.mean() == pytest.approx(expected, abs=4.0 * mean / np.sqrt(len(delays)))
    new = late.task.levels[:, 0] == 3
    assert not late.task.allowed[:600, new].any()
    assert late.task.allowed[600:, new].all()
    assert 0.02 < late.task.chance[late.task.allowed].mean() < 0.03


def _decisions(world: DelayWorld) -> list[Decision]:
    revision = world.task.revision("uniform")
    policy = create_policy(revision)
    return [
        choose(
            revision, policy, world.task.context(t), world.task.mask(t), Group.TREATMENT,
            decision_id=f"d{t}", secret=b"s", snapshot="",
        )
        for t in range(len(world.task))
    ]  # fmt: skip


def test_courses_teach_what_can_be_known(late: DelayWorld) -> None:
    n, revision, decisions = len(late.task), late.task.revision("uniform"), _decisions(late)
    happens = np.array([late.task.happened[t, d.action, 0] for t, d in enumerate(decisions)])
    known = happens & (late.heard < n)
    ended = np.arange(n) + late.window < n
    wanted = {  # (negatives, positives) taught before the last decision
        "no delay (oracle)": (np.sum(~happens[:-1]), np.sum(happens[:-1])),
        "negative at once": (n - 1, np.sum(known)),
        "drip (as served)": (n - 1, np.sum(known)),  # too few outcomes to know the curve
        "wait for the window": (np.sum(ended & ~happens), np.sum(known)),
    }
    assert wanted.keys() == COURSES.keys()
    for name, (negatives, positives) in wanted.items():
        course = COURSES[name](late, revision)
        labels = [
            label
            for t in range(n)
            for told in course.before(t, decisions[t - 1] if t else None)
            for label in told.labels
        ]
        assert sum(not label.happened for label in labels) == negatives, name
        assert sum(label.happened for label in labels) == positives, name


def test_a_course_runs_to_its_end(late: DelayWorld) -> None:
    answers = run_course(late, "drip (as served)", "hybrid_thompson")
    assert (answers[~late.task.allowed] == 0.0).all()
    assert headroom(late.task, answers) < 100.0


def test_the_quick_study_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(quick=True, world=["wine", "mkt24"], method=["LinUCB .25"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["wine", "mkt24", "mkt24", "early"]
    assert lines[2].split()[:2] == ["LinUCB", ".25"]
    assert float(lines[2].split()[2]) > 60.0


def test_an_unknown_world_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="no world mars"):
        main(quick=True, world=["mars"])
