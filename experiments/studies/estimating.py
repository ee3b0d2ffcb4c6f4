"""Estimating: how near each estimator comes to a known truth, and on which side it errs.

`python -m experiments.studies.estimating` prints relative root mean squared errors and biases over
synthetic logs with rare conversions, for a target that is nearly greedy; about a minute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.estimators import ESTIMATORS, find_estimator
from experiments.logs import LoggedDecisions
from experiments.reward_models.ridge import cross_fit
from experiments.reward_models.robust import fit_robust
from experiments.studies.table import Figure, Study, publish
from experiments.weighing import Weighed

Floats = NDArray[np.float64]

SIZES = {1_000: 200, 10_000: 40}
"""Decisions of a log, and how many logs."""

NAMES = (
    *(name for name in ESTIMATORS if name not in ("bips", "replay")),
    "clip=20", "switch=20", "dros=100", "mips=offer",
)  # fmt: skip
_OFFERS, _VARIANTS, _FEATURES = 3, 3, 4
_ARMS = 1 + _OFFERS * _VARIANTS
_ACTIONS = (
    "none", *(f"offer{i}/v{j}@email" for i in range(_OFFERS) for j in range(_VARIANTS)),
)  # fmt: skip
_BASE, _FLOOR, _HABIT, _SHARPNESS = -4.1, 0.1, 2.0, 20.0
_SEED = 20260312


def draw_log(n: int, rng: np.random.Generator) -> tuple[Weighed, float]:
    """Draw a log of n decisions; returns it beside its target, and what the target is worth.

    Ten actions and about two to five conversions in a hundred; the variants of an offer differ by
    half as much as offers do. The logging policy has habits of its own beside a floor of 0.1; the
    target almost always takes what is best in its opinion, which is nearly right. The effective
    sample size is about a twentieth of the decisions.
    """
    x = rng.normal(size=(n, _FEATURES))
    offers = np.repeat(rng.normal(0.0, 0.4, (_FEATURES, _OFFERS)), _VARIANTS, axis=1)
    own = offers + rng.normal(0.0, 0.2, (_FEATURES, _OFFERS * _VARIANTS))  # (D, A - 1)
    slopes = np.concatenate([np.zeros((_FEATURES, 1)), own], axis=1)  # (D, A)
    rates = 1.0 / (1.0 + np.exp(-(_BASE + x @ slopes)))  # (n, A)
    habit = rng.normal(0.0, 0.4, slopes.shape)
    logging = _softmax(_HABIT * x @ habit) * (1.0 - _FLOOR) + _FLOOR / _ARMS  # (n, A)
    opinion = slopes + rng.normal(0.0, 0.1, slopes.shape)
    target = _softmax(_SHARPNESS * x @ opinion) * 0.98 + 0.02 / _ARMS  # (n, A)
    below = logging.cumsum(axis=1) < rng.random((n, 1))
    action = np.minimum(below.sum(axis=1), _ARMS - 1)  # (n,)
    reward = (rng.random(n) < rates[np.arange(n), action]).astype(np.float64)
    truth = float(np.einsum("na,na->n", target, rates).mean())
    return Weighed(_log(x, action, logging, reward), target), truth


def errors(n: int, replicates: int) -> tuple[dict[str, list[float]], float]:
    """Return each estimator's errors over logs of n decisions, as shares of the mean truth."""
    rng = np.random.default_rng([_SEED, n])
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    truths = []
    for _ in range(replicates):
        drawn, truth = draw_log(n, rng)
        log, target = drawn.log, drawn.target
        rows = Weighed(log, target, cross_fit(log), robust=fit_robust(log, target))
        truths.append(truth)
        for name in NAMES:
            pieces = find_estimator(name).pieces(rows)
            value = float(pieces.plain.mean())
            if pieces.over is not None and pieces.under is not None:
                value += float(pieces.over.sum() / pieces.under.sum())
            found[name].append(value - truth)
    return found, float(np.mean(truths))


def study(sizes: dict[int, int] | None = None) -> Study:
    """Measure all estimators.

    Args:
        sizes: number of logs by their number of decisions; None takes `SIZES`.
    """
    sizes = sizes or SIZES
    rows: dict[str, list[Figure | None]] = {name: [] for name in NAMES}
    for n, replicates in sizes.items():
        found, scale = errors(n, replicates)
        for name, gaps in found.items():
            rows[name] += _figures(np.array(gaps) / scale)
    logs = " and ".join(f"{count} logs of {n:,} decisions" for n, count in sizes.items())
    return Study(
        "estimating",
        f"Error of each estimator as a share of the truth, +- standard error: {logs}",
        tuple(f"{what}, {n:,}" for n in sizes for what in ("rmse", "bias")),
        rows,
        params={"seed": str(_SEED), "sizes": str(sizes)},
        digits=2,
    )


def _figures(gaps: Floats) -> list[Figure | None]:
    """Return root mean square and mean, each with its standard error."""
    count, squares = len(gaps), gaps**2
    rmse = float(np.sqrt(squares.mean()))
    of_rmse = float(squares.std(ddof=1)) / np.sqrt(count) / (2.0 * rmse)
    return [
        Figure(rmse, of_rmse),
        Figure(float(gaps.mean()), float(gaps.std(ddof=1)) / float(np.sqrt(count))),
    ]


def _softmax(scores: Floats) -> Floats:
    raw = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def _log(x: Floats, action: NDArray[np.int64], p: Floats, reward: Floats) -> LoggedDecisions:
    n = len(x)
    names = np.array([f"{row}" for row in range(n)], dtype=np.object_)
    blank = np.full(n, "", dtype=np.object_)
    contexts, nothing = np.empty(n, dtype=np.object_), np.empty(n, dtype=np.object_)
    features = [dict(zip("abcd", row, strict=True)) for row in x.tolist()]
    contexts[:] = [{"features": each, "contacts": []} for each in features]
    nothing[:] = [()] * n
    return LoggedDecisions(
        decision_id=names, customer=names, revision=blank, policy=blank, snapshot=blank,
        group=np.full(n, "treatment", dtype=np.object_), contexts=contexts,
        at=np.datetime64("2026-03-02", "us") + np.arange(n) * np.timedelta64(60, "s"),
        action=action, propensity=p[np.arange(n), action], distribution=p,
        allowed=np.ones(p.shape, dtype=np.bool_), reward=reward, outcome_value=reward,
        outcomes=nothing, actions=_ACTIONS,
    )  # fmt: skip


def run() -> None:
    """Measure all estimators and publish the table."""
    publish(study())


if __name__ == "__main__":
    run()
