"""The gate: promotes what is better, refuses what is not, and says when it cannot tell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from agents.errors import DocumentError, LogError, StateError, UnknownNameError
from agents.revision import Revision
from agents.spec import Outcome as OutcomeSpec
from agents.units import parse_duration
from experiments.evaluate import evaluate
from experiments.gate.breaches import Breaches, unasked
from experiments.gate.canary import Canary, watch
from experiments.gate.criteria import CanaryCriteria, Criteria, read_criteria
from experiments.gate.judging import Judgement, judge
from experiments.gate.report import canary_parts, judgement_parts, judgement_record
from experiments.gate.share import share_of
from experiments.gate.subject import read_subject
from experiments.gate.verdict import Criterion, Outcome, Role, outcome_of
from experiments.logs import LoggedDecisions
from experiments.report import to_text
from experiments.tracking import open_tracking
from experiments.training import sealed
from nextbest import app
from policies.hybrid import HybridThompson
from policies.uniform import Uniform
from simulators.rollout import rollout
from simulators.worlds import create_world

MakeLog = Callable[..., LoggedDecisions]
BOUGHT = OutcomeSpec(value=80.0, window=parse_duration("7d"), metric="guardrail")
LEFT = OutcomeSpec(value=-20.0, window=parse_duration("7d"), metric="guardrail")


def made(make_log: MakeLog, market: Any, seed: int, share: float, n: int = 4_000) -> Judgement:
    """Judge a share of the best policy, the rest as logged, against the logged one.

    A share below 0 is as far on the other side: the worst policy.
    """
    log = make_log(n, seed)
    x = market.read(log)
    means = market.means(x) * np.sign(share or 1.0)
    top = np.argmax(np.where(log.allowed, means, -np.inf), axis=1)
    best = np.eye(5)[top]
    candidate = (1.0 - abs(share)) * log.distribution + abs(share) * best
    return judge(log, candidate, log.distribution, Criteria())


def test_a_better_candidate_is_promoted(make_log: MakeLog, market: Any) -> None:
    found = [made(make_log, market, seed, 1.0, 8_000).outcome for seed in range(10)]
    assert found.count(Outcome.PROMOTE) >= 8


def test_a_worse_one_never_is(make_log: MakeLog, market: Any) -> None:
    found = [made(make_log, market, seed, -1.0).outcome for seed in range(10)]
    assert Outcome.PROMOTE not in found


def test_an_equal_one_is_promoted_as_seldom_as_promised(make_log: MakeLog) -> None:
    """Equal in value whatever they choose: the rewards are shuffled."""
    promoted, runs = 0, 60
    for seed in range(runs):
        log, rng = make_log(1_500, seed, floor=0.5), np.random.default_rng(seed)
        order = rng.permutation(len(log))
        log = replace(log, reward=log.outcome_value[order], outcome_value=log.outcome_value[order])
        other = np.eye(5)[np.where(log.allowed, rng.random(5), -1.0).argmax(axis=1)]
        candidate = 0.5 * other + 0.5 * log.distribution
        promoted += judge(log, candidate, log.distribution, Criteria()).outcome is Outcome.PROMOTE
    assert promoted / runs <= 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / runs)


def test_the_same_policy_cannot_be_told_apart(make_log: MakeLog, market: Any) -> None:
    found = made(make_log, market, 1, 0.0)
    assert found.outcome is Outcome.UNKNOWN
    (row,) = found.missing
    assert row.words == "the two choose alike in all 4,000 decisions."
    assert row.needed.startswith("A candidate that chooses otherwise")


def test_false_propensities_are_no_evidence(make_log: MakeLog, market: Any) -> None:
    log = make_log(6_000, 3)
    flat = log.allowed / log.allowed.sum(axis=1, keepdims=True)
    chosen = np.arange(len(log)), log.action
    wrong = replace(log, distribution=flat, propensity=flat[chosen])
    best = market.best(market.read(log), log.allowed)
    found = judge(wrong, best, flat, Criteria())
    assert found.outcome is Outcome.UNKNOWN
    failed = [each.name for each in found.criteria if not each.passed]
    assert "logged probabilities" in failed


def test_a_choice_against_a_rule_is_never_promoted(make_log: MakeLog) -> None:
    log = make_log(2_000, 3)
    barred = np.full((len(log), 5), 0.2)
    assert judge(log, barred, log.distribution, Criteria()).outcome is Outcome.KEEP
    found = judge(log, log.distribution, log.distribution, Criteria(), breaches=1)
    assert found.outcome is Outcome.KEEP


def test_a_guardrail_metric_that_gets_worse_keeps_the_champion(make_log: MakeLog) -> None:
    """Whatever it earns, it may not make more customers leave."""
    log = make_log(6_000, 4, floor=0.8)
    sent = log.action == 4
    left = np.random.default_rng(1).random(len(log)) < np.where(sent, 0.2, 0.02)
    outcomes = np.empty(len(log), dtype=object)
    outcomes[:] = [("left",) if each else () for each in left.tolist()]
    rewards = np.where(sent, 20.0, 0.0) + left
    log = replace(log, outcomes=outcomes, reward=rewards, outcome_value=rewards)
    lock = np.where(log.allowed[:, [4]], np.eye(5)[4], log.distribution)
    strict, loose = ({"left": most} for most in (10.0, 500.0))
    for tolerate in ({}, strict):
        rules = Criteria(tolerate=tolerate)
        found = judge(log, lock, log.distribution, rules, outcomes={"left": LEFT})
        assert found.outcome is Outcome.KEEP
        assert [each.name for each in found.criteria if not each.passed] == ["left per 1,000"]
    rules = Criteria(tolerate=loose)
    found = judge(log, lock, log.distribution, rules, outcomes={"left": LEFT})
    assert found.outcome is Outcome.PROMOTE


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ((), Outcome.PROMOTE),
        (("merit",), Outcome.KEEP),
        (("merit", "evidence"), Outcome.UNKNOWN),
        (("evidence", "law"), Outcome.KEEP),
    ],
)
def test_what_follows_from_what_failed(roles: tuple[str, ...], expected: Outcome) -> None:
    names: tuple[Role, ...] = ("law", "evidence", "merit")
    rows = tuple(Criterion(r, r, "", "", r not in roles) for r in names)
    assert outcome_of(rows) is expected


def canary(
    seed: int, lift: float, n: int = 10_000, harm: float = 0.0, share: float | None = None
) -> Canary:
    """Watch a canary for a third of customers, 5% of whose decisions convert but for a lift."""
    rng = np.random.default_rng(seed)
    customer = rng.integers(n // 3, size=n)
    arm = (customer % 3) == 0
    bought = rng.random(n) < np.where(arm, 0.05 * (1.0 + lift), 0.05)
    gone = rng.random(n) < np.where(arm, 0.02 * (1.0 + harm), 0.02)
    outcomes = np.empty(n, dtype=object)
    outcomes[:] = [("left",) if each else () for each in gone.tolist()]
    ones, worth = np.ones((n, 1)), np.where(bought, 80.0, 0.0)
    text = np.full(n, "x", dtype=object)
    log = LoggedDecisions(
        decision_id=text, customer=customer.astype(str).astype(object), policy=text, snapshot=text,
        at=np.datetime64("2026-01-01", "us") + np.arange(n) * np.timedelta64(1, "m"),
        group=np.full(n, "treatment", dtype=object),
        revision=np.where(arm, "new", "old").astype(object),
        contexts=text, action=np.zeros(n, dtype=np.int64), propensity=np.ones(n),
        distribution=ones, allowed=ones > 0, reward=worth, outcome_value=worth,
        outcomes=outcomes, actions=("none",),
    )  # fmt: skip
    order = rng.permutation(n)  # a log need not be in the order of time
    values = {name: getattr(log, name)[order] for name in log.__dataclass_fields__
              if isinstance(getattr(log, name), np.ndarray)}  # fmt: skip
    rules = Criteria(canary=CanaryCriteria(share=share))
    return watch(replace(log, **values), "new", rules, outcomes={"left": LEFT})


def test_a_canary_like_its_champion_seldom_raises_an_alarm_in_a_hundred_looks() -> None:
    found = [canary(seed, 0.0, 3_000).outcome for seed in range(60)]
    alarms = sum(each is not Outcome.CONTINUE for each in found)
    assert alarms / len(found) <= 0.05
    assert len(canary(0, 0.0, 3_000).courses[0].at) == 100


def test_a_canary_is_promoted_taken_back_or_watched() -> None:
    assert canary(1, 1.0).outcome is Outcome.PROMOTE
    assert canary(1, -0.8).outcome is Outcome.ROLLBACK
    assert canary(1, -1.0).outcome is Outcome.ROLLBACK  # it has no conversion of its own
    assert canary(1, 0.0, harm=5.0).outcome is Outcome.ROLLBACK
    early = canary(1, 1.0, 200)
    assert early.outcome is Outcome.CONTINUE
    assert "more decisions like these" in early.needed
    assert f"needed: {early.needed}" in to_text(*canary_parts(early, "EUR"))
    assert canary(1, 1.0).needed == ""


def test_a_canary_that_breaks_a_rule_goes_back() -> None:
    assert replace(canary(1, 1.0), breaches=1).outcome is Outcome.ROLLBACK


def test_a_share_that_changed_tells_nothing() -> None:
    rng, n = np.random.default_rng(1), 6_000
    customer = rng.integers(n // 3, size=n)
    steady = customer % 4 == 0
    grown = np.where(np.arange(n) < n // 2, steady, customer % 2 == 0)
    assert share_of(customer, steady, 0.25).fault == ""
    assert "share of customers changed" in share_of(customer, grown).fault
    assert "10.0% were declared" in share_of(customer, steady, 0.1).fault
    found = replace(canary(1, 1.0), share=share_of(customer, grown))
    assert found.outcome is Outcome.UNKNOWN
    assert any("share of customers changed" in str(each) for each in canary_parts(found, "EUR"))
    assert replace(found, breaches=1).outcome is Outcome.ROLLBACK


def test_shares_that_are_right_seldom_raise_an_alarm() -> None:
    """Customers who come once each: the chi-square test is not helped by those who stay."""
    rng = np.random.default_rng(5)
    found = [share_of(np.arange(2_000), rng.random(2_000) < 0.1, 0.1) for _ in range(300)]
    assert sum(each.changed < 0.05 for each in found) / 300 <= 0.05 + 3 * np.sqrt(0.0475 / 300)
    assert sum(each.wrong < 0.05 for each in found) / 300 <= 0.05 + 3 * np.sqrt(0.0475 / 300)
    faults = sum(bool(each.fault) for each in found) / 300  # two tests at 1e-3 each
    assert faults <= 2e-3 + 3 * np.sqrt(2e-3 / 300)


def test_a_declared_share_is_tested_by_the_gate() -> None:
    assert canary(1, 1.0, share=1 / 3).outcome is Outcome.PROMOTE
    assert canary(1, 1.0, share=0.1).outcome is Outcome.UNKNOWN


def test_a_snapshot_that_says_not_what_it_learned_is_told(
    folder: Path, policy: HybridThompson, revision: Revision, tmp_path: Path
) -> None:
    key, file = tmp_path / "key", tmp_path / "new.snapshot"
    key.write_bytes(b"k" * 32)
    file.write_bytes(sealed(policy, revision, 10, b"k" * 32))
    found = read_subject(folder, str(file), "logged", key=key)
    (note,) = found.notes
    assert note.startswith("warning: new.snapshot was taught 10 decisions outside the ledger")
    file.write_bytes(sealed(policy, revision, 0, b"k" * 32))
    assert read_subject(folder, str(file), "logged", key=key).notes == ()


def test_what_was_not_asked_for_breaches_is_told() -> None:
    assert unasked(Breaches(0, 0, "r1")) == []
    assert "12 decisions of other revisions" in unasked(Breaches(0, 12, "r1"))[0]
    assert "no breaches were counted" in unasked(None)[0]


def test_what_was_decided_first_stands() -> None:
    found = canary(1, 1.0)
    look = found.decided
    assert look is not None
    later = replace(found.courses[1], worse=np.arange(len(found.courses[1].at)) > look)
    assert replace(found, courses=(found.courses[0], later)).outcome is Outcome.PROMOTE


def test_a_canary_that_nobody_knows_is_refused(make_log: MakeLog) -> None:
    with pytest.raises(LogError, match="revision new decided nothing in treatment; got r1"):
        watch(make_log(100, 1), "new", Criteria())
    with pytest.raises(LogError, match="expected decisions of a champion"):
        watch(make_log(100, 1), "r1", Criteria())


def test_criteria_are_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text("alpha: 0.01\ntolerate: {complained: 2}\ncanary: {rollback: -5}\n")
    found = read_criteria(file)
    assert found == Criteria(
        alpha=0.01, tolerate={"complained": 2.0}, canary=CanaryCriteria(rollback=-5.0)
    )
    assert found.digest != Criteria().digest
    file.write_text("alpha: 0.7\n")
    with pytest.raises(DocumentError, match="gate.yaml:1:1: at alpha: expected less than 0.5"):
        read_criteria(file)
    with pytest.raises(StateError, match=r"none.yaml cannot be read: No such file or directory$"):
        read_criteria(tmp_path / "none.yaml")
    for less in ("ess: 10\n", "conversions: 5\n", "unsupported: 0.5\n"):  # than evaluate asks for
        file.write_text(less)
        with pytest.raises(DocumentError, match="expected (greater|less) than or equal to"):
            read_criteria(file)


def test_the_command_says_by_its_exit_code_and_records_all(folder: Path, runs: Path) -> None:
    words = ["gate", str(folder), "--candidate", "uniform", "--track", str(runs), "--json"]
    done = CliRunner().invoke(app, words)
    found = orjson.loads(done.stdout)
    assert done.exit_code == found["exit_code"] == 3  # 300 decisions tell nothing
    client = open_tracking(runs)
    experiment = client.get_experiment_by_name("gates")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["outcome"] == "not enough evidence"
    assert run.data.params["command"] == "nextbest gate log --candidate uniform --champion logged"
    assert {"log_sha256", "criteria_sha256", "revisions", "seed"} <= run.data.params.keys()
    for name in ("candidate.ess", "candidate.effective_conversions", "candidate.audit.p_draws",
                 "champion.ess", "conversions", "decisions"):  # fmt: skip
        assert run.data.metrics[name] >= 0.0
    files = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert files == {"gate.json", "criteria.json"}


def test_two_files_of_one_name_are_two_files(folder: Path, runs: Path, tmp_path: Path) -> None:
    hashes = {}
    words = ["gate", str(folder), "--track", str(runs)]
    for role in ("candidate", "champion"):
        file = tmp_path / role / "rule.yaml"
        file.parent.mkdir()
        file.write_text(f"rules:\n  - {{when: 'true', then: none}}  # the {role}\n")
        words += [f"--{role}", str(file)]
        hashes[f"sha256.{role}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    done = CliRunner().invoke(app, words)
    assert "recorded in" in done.output, done.output
    client = open_tracking(runs)
    experiment = client.get_experiment_by_name("gates")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert hashes.items() <= run.data.params.items()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected --candidate"),
        (("--candidate", "uniform", "--canary", "x"), "got both"),
        (("--candidate", "unifrom"), "--candidate: 'unifrom' is no policy"),
        (("--candidate", "uniform", "--champion", "nope"), "--champion: 'nope' is no policy"),
        (("--canary", "x"), "decided nothing"),
    ],
)
def test_what_cannot_be_asked_cannot_be_told(
    folder: Path, words: tuple[str, ...], message: str
) -> None:
    done = CliRunner().invoke(app, ["gate", str(folder), *words])
    assert done.exit_code == 2
    assert message in done.stderr


def test_without_evidence_merit_is_not_judged_and_what_is_missing_is_said(
    make_log: MakeLog, market: Any
) -> None:
    """A hundred decisions of a better candidate: whatever they seem to show, it is not told."""
    log = make_log(100, 1)
    best = market.best(market.read(log), log.allowed)
    found = judge(log, best, log.distribution, Criteria())
    assert found.outcome is Outcome.UNKNOWN
    missing = {each.name: each for each in found.missing}
    assert "About" in missing["effective decisions"].needed
    assert "more decisions like these" in missing["effective decisions"].needed
    assert "at least 30 needed" in missing["conversions that tell them apart"].words
    told = to_text(*judgement_parts(found, "EUR"), width=200)
    assert "not enough evidence: effective decisions: 100 decisions tell as much about" in told
    assert "needed: About" in told
    assert "not judged" in told
    assert "surely -" not in told
    assert told.rstrip().endswith("not enough evidence")
    record = judgement_record(found)
    assert record["differences"] == []
    merit = [each for each in record["criteria"] if each["role"] == "merit"]
    assert merit
    assert all(each["found"] is None and each["passed"] is None for each in merit)
    assert {each["name"] for each in record["missing"]} == missing.keys()


def test_whatever_evaluate_refuses_is_missing_evidence(make_log: MakeLog, market: Any) -> None:
    """What it chooses sells nothing in the second half: a mean of both is the value of neither."""
    log = make_log(24_000, 2)
    best = market.best(market.read(log), log.allowed)
    own = best[np.arange(24_000), log.action] > 0.0
    fading = np.where(own & (np.arange(24_000) >= 12_000), np.arange(24_000) % 6 == 0, 1.0)
    log = replace(log, reward=log.outcome_value * fading, outcome_value=log.outcome_value * fading)
    reasons = {check.name for check in evaluate(log, best).verdict.reasons}
    assert "Same value throughout" in reasons
    found = judge(log, best, log.distribution, Criteria())
    assert "difference in each half of the log" in [each.name for each in found.missing]
    assert found.outcome is Outcome.UNKNOWN


def test_a_candidate_that_shares_no_decision_is_no_error(make_log: MakeLog) -> None:
    log = make_log(400, 3)
    log = log.where(log.action != 4)
    target = np.where(log.allowed[:, [4]], np.eye(5)[4], 0.0)
    kept = log.allowed[:, 4]
    found = judge(log.where(kept), target[kept], log.distribution[kept], Criteria())
    assert found.outcome is Outcome.UNKNOWN
    needed = {each.name: each.needed for each in found.missing}
    assert needed["effective decisions"].startswith("More decisions that resemble")
    assert needed["conversions that tell them apart"].startswith("Decisions after which")


def test_a_tolerated_outcome_must_be_one_of_the_agent(make_log: MakeLog) -> None:
    log, rules = make_log(200, 1), Criteria(tolerate={"lefd": 1.0})
    for ask in (
        lambda: judge(log, log.distribution, log.distribution, rules, outcomes={"left": LEFT}),
        lambda: watch(
            replace(log, revision=np.where(np.arange(200) % 2, "new", "r1").astype(object)),
            "new", rules, outcomes={"left": LEFT},
        ),
    ):  # fmt: skip
        with pytest.raises(UnknownNameError, match="'lefd' is no outcome .*; did you mean 'left'"):
            ask()


def test_how_a_learner_was_taught_is_told(revision: Revision, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    world = create_world("telecom", revision, customers=100, rounds=6)
    rollout(world, Uniform(), learn=False).write(folder, b"k")
    subject = read_subject(folder, "incumbent", "logged")
    assert 0 < len(subject.log) < len(read_subject(folder, "uniform", "logged").log)
    (note,) = subject.notes
    assert note.startswith("learners went on learning block by block")
    assert read_subject(folder, "uniform", "logged").notes == ()
