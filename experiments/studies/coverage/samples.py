"""What an evaluation would know of an estimate on a drawn log, without its slower parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.estimators import find_estimator
from experiments.intervals import Bounds, Rows, Sample
from experiments.logs import LoggedDecisions
from experiments.studies.coverage.worlds import ARMS, WEIGHT_LIMIT, Draws
from experiments.tally import Tally
from experiments.weighing import Weighed
from experiments.weights import effective_size

Floats = NDArray[np.float64]

ESTIMATORS = ("snips", "dr")
_FOLDS, _PENALTY = 5, 10.0
_RANGE = Bounds(0.0, 1.0)


def samples_of(draws: Draws, target: Floats, q_hat: Floats) -> dict[str, Sample]:
    """Return what is known of the value of a target (N, A), by estimator."""
    rows = Weighed(_log(draws), target, q_hat)
    size = int(draws.customer.max()) + 1
    weights, reward = rows.weights, draws.reward
    tallies = {}
    for name in ESTIMATORS:
        pieces = find_estimator(name).pieces(rows)
        tallies[name] = (pieces, Tally.of(pieces, draws.customer, size))
    design_effect = tallies["snips"][1].design_effect
    return {
        name: Sample(
            n=tally.n, value=tally.value, stderr=tally.stderr, design_effect=design_effect,
            ess=effective_size(weights), gain=float(weights @ reward / weights.sum()), loss=0.0,
            reward_range=_RANGE, weight_limit=WEIGHT_LIMIT,
            rows=Rows(tally.terms(pieces), weights, reward, draws.customer),
        )
        for name, (pieces, tally) in tallies.items()
    }  # fmt: skip


def predict(draws: Draws) -> Floats:
    """Predict the reward of each action by ridge regressions on other blocks of time; (N, A)."""
    phi = np.concatenate([np.ones((len(draws.x), 1)), draws.x], axis=1)  # (N, P)
    blocks = np.array_split(np.arange(len(phi)), _FOLDS)
    moments = [_moments(phi[b], draws.action[b], draws.reward[b]) for b in blocks]
    ridge = np.diag([1.0, *[_PENALTY] * (phi.shape[1] - 1)])  # (P, P)
    predicted = np.empty((len(phi), ARMS))
    for fold, block in enumerate(blocks):
        others = [each for number, each in enumerate(moments) if number != fold]
        gram = np.sum([g for g, _ in others], axis=0)  # (A, P, P)
        cross = np.sum([c for _, c in others], axis=0)  # (A, P)
        theta = np.linalg.solve(gram + ridge, cross[:, :, None])[:, :, 0]  # (A, P)
        predicted[block] = phi[block] @ theta.T
    return predicted


def _moments(phi: Floats, action: NDArray[np.intp], reward: Floats) -> tuple[Floats, Floats]:
    parts = [phi[action == arm] for arm in range(ARMS)]
    rewards = [reward[action == arm] for arm in range(ARMS)]
    gram = np.stack([part.T @ part for part in parts])
    return gram, np.stack([part.T @ r for part, r in zip(parts, rewards, strict=True)])


def _log(draws: Draws) -> LoggedDecisions:
    n = len(draws.action)
    blank = np.full(n, "", dtype=np.object_)
    return LoggedDecisions(
        decision_id=blank, customer=blank, revision=blank, policy=blank, snapshot=blank,
        group=blank, contexts=blank, at=np.arange(n).astype("datetime64[us]"),
        action=draws.action, propensity=draws.distribution[np.arange(n), draws.action],
        distribution=draws.distribution, allowed=np.ones((n, ARMS), dtype=np.bool_),
        reward=draws.reward, outcome_value=draws.reward, outcomes=blank,
        actions=tuple(f"offer{arm}" for arm in range(ARMS)),
    )  # fmt: skip
