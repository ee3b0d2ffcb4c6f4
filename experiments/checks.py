"""What every estimator owes: plain checks, run over the whole registry and over anyone's own.

Each takes an estimator, returns nothing, and raises AssertionError with what was expected and what
was got. One that refuses a log whose actions were not drawn uniformly is checked on one that was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.estimators import Estimator, Pieces, candidates_of
from experiments.logs import LoggedDecisions
from experiments.tally import Tally
from experiments.weighing import Weighed

Floats = NDArray[np.float64]
Check = Callable[[Estimator], None]

_SEED = 20260302
_N, _A = 400, 5
_TOLERANCE = 1e-9


def sample_log(rng: np.random.Generator, *, uniform: bool = False) -> LoggedDecisions:
    """Make a log of 400 decisions among 5 actions, some barred, rewards of both signs.

    Args:
        rng: source of all draws.
        uniform: whether allowed actions are equally probable.
    """
    rows = np.arange(_N)
    allowed = rng.random((_N, _A)) < 0.8  # (N, A)
    allowed[:, 0] = True
    spread = 0.0 if uniform else 0.4
    raw = np.where(allowed, 0.6 + rng.uniform(-spread, spread, (_N, _A)), 0.0)  # (N, A)
    distribution = raw / raw.sum(axis=1, keepdims=True)
    below = distribution.cumsum(axis=1) < rng.random((_N, 1))  # (N, A)
    action = np.minimum(below.sum(axis=1), allowed.cumsum(axis=1).argmax(axis=1))  # (N,)
    reward = rng.choice([-0.5, 0.0, 20.0], _N, p=[0.5, 0.4, 0.1])  # (N,)
    names = np.array([f"{row:03d}" for row in rows], dtype=np.object_)
    contexts = np.empty(_N, dtype=np.object_)
    contexts[:] = [{"features": {"x": value}, "contacts": []} for value in rng.random(_N)]
    blank = np.full(_N, "", dtype=np.object_)
    nothing = np.empty(_N, dtype=np.object_)
    nothing[:] = [()] * _N
    return LoggedDecisions(
        decision_id=names, customer=names, revision=blank, policy=blank, snapshot=blank,
        group=np.full(_N, "treatment", dtype=np.object_), contexts=contexts,
        at=np.datetime64("2026-03-02", "us") + rows * np.timedelta64(60, "s"),
        action=action, propensity=distribution[rows, action], distribution=distribution,
        allowed=allowed, reward=reward, outcome_value=np.maximum(reward, 0.0), outcomes=nothing,
        actions=("none", *(f"offer/v{k}@email" for k in range(1, _A))),
    )  # fmt: skip


def _terms(estimator: Estimator, rows: Weighed) -> Floats:
    """Return an estimator's terms, whose mean is its estimate; (N,)."""
    pieces = estimator.pieces(rows)
    return Tally.of(pieces, np.arange(_N), _N).terms(pieces)


def _sample(estimator: Estimator) -> Weighed:
    """Return a log that an estimator does not refuse, a target and a model's predictions."""
    explored = _rows(uniform=False)
    try:
        estimator.pieces(explored)
    except LogError:
        return _rows(uniform=True)
    return explored


def _rows(*, uniform: bool) -> Weighed:
    rng = np.random.default_rng(_SEED)
    log = sample_log(rng, uniform=uniform)
    raw = np.where(log.allowed, rng.random((_N, _A)), 0.0)  # (N, A)
    target = raw / raw.sum(axis=1, keepdims=True)
    q_hat = rng.normal(2.0, 1.0, (_N, _A))
    return Weighed(log, target, q_hat, log.propensity, q_hat)


def _known(rows: Weighed, rewards: Floats) -> Weighed:
    """Replace the rewards (N,), which the model then knows."""
    known = np.repeat(rewards[:, None], _A, axis=1)  # (N, A)
    return replace(rows, log=replace(rows.log, reward=rewards), q_hat=known, robust=known)


def check_shape_and_finite(estimator: Estimator) -> None:
    """There is one finite number a decision in each piece, and none below 0 under a ratio."""
    pieces = estimator.pieces(_sample(estimator))
    assert (pieces.over is None) == (pieces.under is None), (
        f"{estimator.name}: expected both a numerator and a denominator, or neither"
    )
    for piece in _present(pieces):
        got = piece.shape
        assert got == (_N,), f"{estimator.name}: expected shape {(_N,)}, got {got}"
        bad = int(np.count_nonzero(~np.isfinite(piece)))
        assert bad == 0, f"{estimator.name}: expected finite pieces, got {bad} that are not"
    negative = pieces.under is not None and bool((pieces.under < 0.0).any())
    assert not negative, f"{estimator.name}: expected no negative weight under a ratio, got one"


def check_rows_alone(estimator: Estimator) -> None:
    """What a decision adds depends on that decision alone, so that a log can be streamed."""
    rows = _sample(estimator)
    some = np.arange(_N) % 3 == 0  # (N,)
    part = Weighed(
        rows.log.where(some), rows.target[some], rows.model[some],
        None if rows.mixture is None else rows.mixture[some],
        None if rows.robust is None else rows.robust[some],
    )  # fmt: skip
    for each in candidates_of(estimator):
        pairs = zip(_present(each.pieces(rows)), _present(each.pieces(part)), strict=True)
        gap = max(float(np.max(np.abs(whole[some] - alone))) for whole, alone in pairs)
        assert gap <= _TOLERANCE, (
            f"{each.name}: expected the same pieces without the other decisions,"
            f" got a gap of {gap:.3g}"
        )


def check_logging_policy(estimator: Estimator) -> None:
    """The logging policy itself is worth the mean reward, if the model knows each drawn reward."""
    rows = _sample(estimator)
    asked = replace(_known(rows, rows.log.reward), target=rows.log.distribution)
    value, expected = float(_terms(estimator, asked).mean()), float(rows.log.reward.mean())
    assert abs(value - expected) <= _TOLERANCE, (
        f"{estimator.name}: expected the mean reward {expected:.12g} for the logging policy,"
        f" got {value:.12g}"
    )


def check_constant_reward(estimator: Estimator) -> None:
    """A reward that is always c > 0 is worth c, up to how far the mean weight is from 1.

    A biased estimator may say less, as one that clips weights does, but never more.
    """
    terms = _terms(estimator, _known(_sample(estimator), np.full(_N, 3.0)))
    value, slack = float(terms.mean()), 4.0 * float(terms.std()) / np.sqrt(_N) + _TOLERANCE
    least = 0.0 if estimator.biased else 3.0 - slack
    assert least <= value <= 3.0 + slack, (
        f"{estimator.name}: expected {'at most ' if estimator.biased else ''}3 within {slack:.3g}"
        f" for a constant reward of 3, got {value:.12g}"
    )


def check_biased(estimator: Estimator) -> None:
    """An estimator that is not called biased finds the truth beside a wrong model.

    Rewards are exact here, one for each action, so that only the weights are left to chance.
    """
    if estimator.biased:
        return
    rows = _sample(estimator)
    means = np.random.default_rng(_SEED + 1).uniform(1.0, 9.0, _A)  # (A,)
    truth = float((rows.target @ means).mean())
    log = replace(rows.log, reward=means[rows.log.action])
    wrong = np.full((_N, _A), 30.0)
    terms = _terms(estimator, replace(rows, log=log, q_hat=wrong, robust=wrong))
    value, slack = float(terms.mean()), 4.0 * float(terms.std()) / np.sqrt(_N)
    assert abs(value - truth) <= slack, (
        f"{estimator.name}: expected {truth:.4g} within {slack:.3g} with a wrong model,"
        f" got {value:.4g}; is it biased?"
    )


def check_scale(estimator: Estimator) -> None:
    """In cents everything is worth a hundred times as much as in euros."""
    rows = _sample(estimator)
    dearer = replace(
        rows, log=replace(rows.log, reward=100.0 * rows.log.reward),
        q_hat=100.0 * rows.model, robust=100.0 * rows.model,
    )  # fmt: skip
    gap = float(np.max(np.abs(_terms(estimator, dearer) - 100.0 * _terms(estimator, rows))))
    assert gap <= 1e-6, (
        f"{estimator.name}: expected 100 times the terms for 100 times the rewards,"
        f" got a gap of {gap:.3g}"
    )


def check_pure(estimator: Estimator) -> None:
    """The same question has the same answer, and the arrays it was asked with stay."""
    rows = _sample(estimator)
    kept = (rows.log.reward, rows.log.propensity, rows.log.distribution, rows.target, rows.model)
    before = [array.copy() for array in kept]
    first, second = (
        _terms(estimator, Weighed(rows.log, rows.target, rows.q_hat, rows.mixture, rows.robust))
        for _ in range(2)
    )
    assert np.array_equal(first, second), f"{estimator.name}: expected the same answer twice"
    same = all(np.array_equal(a, b) for a, b in zip(before, kept, strict=True))
    assert same, f"{estimator.name}: expected the arrays it is given to stay, got others"


def check_ignores_model(estimator: Estimator) -> None:
    """An estimator that says it needs no model answers the same with any."""
    rows = _sample(estimator)
    answers = [
        [float(_terms(each, replace(rows, q_hat=q)).mean()) for q in (rows.model, 0.0 * rows.model)]
        for each in candidates_of(estimator)
    ]
    differs = any(one != other for one, other in answers)
    assert estimator.needs_model == differs, (
        f"{estimator.name}: expected needs_model to be {differs}, got {estimator.needs_model}"
    )


def _present(pieces: Pieces) -> list[Floats]:
    return [piece for piece in pieces if piece is not None]


ALL_CHECKS: tuple[Check, ...] = (
    check_shape_and_finite,
    check_rows_alone,
    check_logging_policy,
    check_constant_reward,
    check_biased,
    check_scale,
    check_pure,
    check_ignores_model,
)
