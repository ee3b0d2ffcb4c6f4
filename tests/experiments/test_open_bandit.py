"""The Open Bandit Dataset: our estimates are those of its own library, digit for digit.

The figures were computed with the Open Bandit Pipeline 0.5.5 on the sample of 10,000 rows for the
campaign "men" of each policy (Saito et al., arXiv 2008.07146).
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML

from experiments.estimators import ESTIMATORS
from experiments.logs import LoggedDecisions
from experiments.weights import effective_size, importance_weights

DATA = Path(__file__).parents[3] / "shared" / "data" / "obd"
ITEMS = 34

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the Open Bandit Dataset is not part of the project: ../shared/data/obd",
)


class Sample(NamedTuple):
    log: LoggedDecisions
    slot: NDArray[np.int64]


def read(policy: str) -> Sample:
    """Read one policy's sample; what was not shown has the rest of the probability, evenly."""
    with (DATA / policy / "men" / "men.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    count = len(rows)
    item = np.array([int(row["item_id"]) for row in rows])
    shown = np.array([float(row["propensity_score"]) for row in rows])
    distribution = np.repeat((1.0 - shown)[:, None] / (ITEMS - 1), ITEMS, axis=1)
    distribution[np.arange(count), item] = shown
    text = np.array([f"{i}" for i in range(count)], dtype=object)
    contexts = np.empty(count, dtype=object)
    contexts[:] = [{"features": {}, "contacts": []}] * count
    clicks = np.array([float(row["click"]) for row in rows])
    log = LoggedDecisions(
        decision_id=text, customer=text, revision=text, policy=text, snapshot=text,
        group=np.full(count, "random", dtype=object), contexts=contexts,
        at=np.array([row["timestamp"][:26] for row in rows], dtype="datetime64[us]"),
        action=item, propensity=shown, distribution=distribution,
        allowed=np.ones((count, ITEMS), dtype=np.bool_), reward=clicks, outcome_value=clicks,
        outcomes=np.array([("click",) * int(c) for c in clicks] + [()], dtype=object)[:-1],
        actions=tuple(f"{k}" for k in range(ITEMS)),
    )  # fmt: skip
    return Sample(log, np.array([int(row["position"]) - 1 for row in rows]))


def thompson(draws: int = 100_000, seed: int = 12345) -> NDArray[np.float64]:
    """The dataset's Bernoulli Thompson policy: how often each item is in each slot; (34, 3).

    The published figure rests on this very stream of random numbers, hence the old generator.
    """
    prior = YAML(typ="safe", pure=True).load((DATA / "prior_bts.yaml").read_text())["men"]
    random = np.random.RandomState(seed)
    shape = (draws, ITEMS)
    beliefs = random.beta(
        np.broadcast_to(prior["alpha"], shape), np.broadcast_to(prior["beta"], shape)
    )
    top = np.argsort(beliefs, axis=1)[:, ::-1][:, :3]  # (draws, 3)
    counts = [np.bincount(top[:, slot], minlength=ITEMS) for slot in range(3)]
    return np.stack(counts, axis=1) / draws


def value(name: str, log: LoggedDecisions, target: NDArray[np.float64]) -> float:
    return float(ESTIMATORS[name].terms(log, target, np.zeros_like(target)).mean())


def test_thompsons_log_values_the_uniform_policy() -> None:
    log, _ = read("bts")
    target = np.full((len(log), ITEMS), 1.0 / ITEMS)
    weights = importance_weights(log, target)
    assert value("ips", log, target) == pytest.approx(0.003008626, abs=1e-9)
    assert value("snips", log, target) == pytest.approx(0.003189423, abs=1e-9)
    assert round(effective_size(weights)) == 656
    assert round(float(weights.max())) == 178


def test_the_uniform_log_values_thompsons_policy() -> None:
    log, slot = read("random")
    target = thompson().T[slot]  # (N, 34)
    weights = importance_weights(log, target)
    assert value("ips", log, target) == pytest.approx(0.00453356, abs=1e-9)
    assert value("snips", log, target) == pytest.approx(0.00460423, abs=5e-9)
    assert round(effective_size(weights)) == 2467
    assert float(weights.max()) == pytest.approx(10.7, abs=0.05)
