"""A log by people who chose by what no field shows: estimators fail, and the audit sees it."""

from __future__ import annotations

import numpy as np
import pytest

from agents.revision import Revision
from experiments.diagnostics import audit
from experiments.evaluate import Evaluation, evaluate
from experiments.logs import LoggedDecisions, from_table
from experiments.targets import none_target
from simulators.historic import BELIEVED, HistoricLog, historic_log
from simulators.worlds.confounded import Confounded
from simulators.worlds.telecom import Telecom

N = 3_000
_ESTIMATORS = ("ips", "snips", "dr")


@pytest.fixture(scope="module")
def historic(revision: Revision) -> HistoricLog:
    return historic_log(Confounded(revision, customers=N, seed=1), N)


@pytest.fixture(scope="module")
def log(historic: HistoricLog) -> LoggedDecisions:
    return from_table(historic.table)


def may(log: LoggedDecisions) -> np.ndarray:
    """Say to whom anything may be sent, (N,)."""
    return np.asarray(log.allowed[:, 1:].any(axis=1))


def contact_target(log: LoggedDecisions) -> np.ndarray:
    """Return the policy that writes to everybody to whom it may, evenly; (N, A)."""
    target = log.allowed.astype(np.float64)
    target[may(log), 0] = 0.0
    return np.asarray(target / target.sum(axis=1, keepdims=True))


def test_the_log_is_one_of_our_own_and_says_one_half(
    historic: HistoricLog, log: LoggedDecisions
) -> None:
    assert len(log) == N
    assert np.array_equal(log.distribution, historic.recorded)
    assert np.unique(historic.recorded[:, 0]).tolist() == [BELIEVED, 1.0]
    assert (historic.recorded[~log.allowed] == 0.0).all()
    assert historic.true.sum(axis=1) == pytest.approx(1.0)
    assert ((historic.true > 0.0) == (historic.recorded > 0.0)).all()


def test_it_was_drawn_from_the_true_distributions(
    historic: HistoricLog, log: LoggedDecisions, revision: Revision
) -> None:
    share = 1.0 - historic.true[:, 0]
    written = (log.action != 0).astype(np.float64)
    error = float(np.sqrt((share * (1.0 - share)).sum()))
    assert written.sum() == pytest.approx(share.sum(), abs=4.0 * error)
    hidden = Confounded(revision, customers=N, seed=1).people.traits["hidden"]
    assert np.corrcoef(_in_order(historic, hidden)[may(log)], share[may(log)])[0, 1] > 0.8


def test_the_audit_notices(historic: HistoricLog, log: LoggedDecisions) -> None:
    assert not audit(log).passed
    told = historic.table.set_column(
        historic.table.schema.get_field_index("distribution"), "distribution",
        [historic.true.tolist()],
    )  # fmt: skip
    drawn = historic.true[np.arange(N), log.action]
    place = told.schema.get_field_index("propensity")
    assert audit(from_table(told.set_column(place, "propensity", [drawn]))).passed


def test_every_estimator_misses_the_truth_and_its_interval_does_too(
    historic: HistoricLog, log: LoggedDecisions
) -> None:
    for target, sign in ((none_target(log), -1.0), (contact_target(log), 1.0)):
        truth = float((target * historic.expected).sum(axis=1).mean())
        found: Evaluation = evaluate(log, target, estimators=_ESTIMATORS)
        for each in found.estimates:
            assert sign * (each.value - truth) > 0.0, each.estimator  # friends are written to
            assert not each.low <= truth <= each.high, each.estimator
        assert not found.verdict.supported
        assert any("not drawn with the probabilities" in warning for warning in found.warnings)


def test_with_what_was_truly_drawn_from_weighting_is_right(
    historic: HistoricLog, log: LoggedDecisions
) -> None:
    """Of writing; friends who were left alone are too few for a standard error to mean anything."""
    target = contact_target(log)
    truth = float((target * historic.expected).sum(axis=1).mean())
    rows = np.arange(N), log.action
    terms = target[rows] / historic.true[rows] * log.reward
    assert terms.mean() == pytest.approx(truth, abs=3.0 * terms.std() / np.sqrt(N))


def test_the_same_seed_writes_the_same_log(revision: Revision) -> None:
    one, two = (historic_log(Confounded(revision, customers=50, seed=4), 50) for _ in range(2))
    other = historic_log(Confounded(revision, customers=50, seed=5), 50)
    assert one.table.equals(two.table)
    assert not one.table.equals(other.table)


def test_a_world_without_an_old_company_is_refused(revision: Revision) -> None:
    with pytest.raises(ValueError, match="^the world 'telecom' says nothing of an old company; "):
        historic_log(Telecom(revision, customers=5), 5)
    for n in (1, 6):
        with pytest.raises(ValueError, match=f"^n: expected 2 to 5, the world's .*, got {n}$"):
            historic_log(Confounded(revision, customers=5), n)


def _in_order(historic: HistoricLog, values: np.ndarray) -> np.ndarray:
    """Return customers' values by decision; an id ends in customer and round."""
    ids = historic.table["decision_id"].to_pylist()
    return np.asarray(values[[int(name.split("-")[-2]) for name in ids]])
