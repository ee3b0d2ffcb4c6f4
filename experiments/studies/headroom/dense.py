"""Classification as a bandit: guess the class, hear only whether the guess was right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from agents.spec import Agent, Channel, CustomerField, Offer, Outcome, Variant, Workspace
from experiments.studies.headroom.task import Task

Data = tuple[NDArray[np.float64], NDArray[np.intp]]
"""Examples (N, F), and the class of each (N,)."""

_MADE = 5_000  # examples of the generated tasks
_CLUSTERS = 2  # of each class of mc10nl
_SHARES = (0.36, 0.3, 0.12, 0.08, 0.06, 0.05, 0.03)  # of the classes of covlike
_SOILS = 12


def _mc5(rng: np.random.Generator) -> Data:
    """Five classes, linear in ten numbers with noise."""
    x, w = rng.normal(size=(_MADE, 10)), rng.normal(size=(10, 5))
    return x, (x @ w + 0.5 * rng.gumbel(size=(_MADE, 5))).argmax(axis=1)


def _mc10nl(rng: np.random.Generator) -> Data:
    """Ten classes of two clusters each, so that no line parts them."""
    centres = 1.0 * rng.normal(size=(10, _CLUSTERS, 10))
    label = rng.integers(10, size=_MADE)
    x = centres[label, rng.integers(_CLUSTERS, size=_MADE)] + rng.normal(size=(_MADE, 10))
    return x, label


def _covlike(rng: np.random.Generator) -> Data:
    """Seven classes of unequal size, by eight numbers and one of twelve soils."""
    label = rng.choice(len(_SHARES), p=_SHARES, size=_MADE)
    centres = 0.7 * rng.normal(size=(len(_SHARES), 8))
    soils = rng.dirichlet(np.full(_SOILS, 0.5), size=len(_SHARES)).cumsum(axis=1)
    soil = (soils[label] < rng.random((_MADE, 1))).sum(axis=1)
    numbers = centres[label] + rng.normal(size=(_MADE, 8))
    return np.hstack([numbers, np.eye(_SOILS)[np.minimum(soil, _SOILS - 1)]]), label


def _loaded(load: Callable[..., tuple[NDArray[np.float64], NDArray[np.intp]]]) -> Data:
    x, label = load(return_X_y=True)
    return np.asarray(x, dtype=np.float64), np.asarray(label, dtype=np.intp)


_SOURCES: dict[str, Callable[[np.random.Generator], Data]] = {
    "wine": lambda _: _loaded(load_wine),
    "cancer": lambda _: _loaded(load_breast_cancer),
    "digits": lambda _: _loaded(load_digits),
    "mc5": _mc5,
    "mc10nl": _mc10nl,
    "covlike": _covlike,
}
DENSE = tuple(_SOURCES)


def dense(name: str, decisions: int | None = None, seed: int = 0) -> Task:
    """Make a task of one of `DENSE`, its examples in an order of the seed's.

    One action for each class, and `none` never allowed; reward 1 if right, learned at once.
    Columns with a spread are standardised over all examples; others are left out.

    Args:
        name: of the data.
        decisions: N, all examples if not said or fewer.
        seed: of the order, and of data that are generated.
    """
    rng = np.random.default_rng([seed, DENSE.index(name)])
    raw, labels = _SOURCES[name](rng)
    order = rng.permutation(len(raw))[:decisions]
    varied = raw[:, raw.std(axis=0) > 0.0]
    x = ((varied - varied.mean(axis=0)) / varied.std(axis=0))[order]  # (N, D)
    classes = int(labels.max()) + 1
    right = np.zeros((len(order), 1 + classes, 1))  # (N, A, 1)
    right[np.arange(len(order)), 1 + labels[order], 0] = 1.0
    allowed = np.ones(right.shape[:2], dtype=np.bool_)
    allowed[:, 0] = False
    names = [f"x{i}" for i in range(x.shape[1])]
    workspace, agent = _documents(names, classes)
    return Task(
        name=name,
        workspace=workspace,
        agent=agent,
        features=tuple(dict(zip(names, row, strict=True)) for row in x.tolist()),
        x=x,
        levels=np.array([(-1, -1, -1), *((i, 0, -1) for i in range(classes))]),
        allowed=allowed,
        chance=right,
        happened=right > 0.0,
        values=np.ones(1),
        costs=np.zeros(1 + classes),
        draws=rng.random(len(order)),
        batch=0,
    )


def _documents(names: list[str], classes: int) -> tuple[Workspace, Agent]:
    offer = Offer(kind="service", variants={"plain": Variant()}, channels=("guess",))
    workspace = Workspace(
        workspace="study", currency="EUR", zone="UTC",
        customer={name: CustomerField(type="number") for name in names},
        channels={"guess": Channel()},
    )  # fmt: skip
    outcome = Outcome.model_validate({"value": 1.0, "window": "7d"})
    offers = {f"class_{i}": offer for i in range(classes)}
    return workspace, Agent(agent="dense", outcomes={"right": outcome}, offers=offers)
