"""The headroom study: every learner of the registry and its peers, on every world."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.studies.headroom.courses import COURSES, run_course
from experiments.studies.headroom.delay import delay_world
from experiments.studies.headroom.dense import DENSE, dense
from experiments.studies.headroom.marketing import DECISIONS, marketing
from experiments.studies.headroom.peers import PEERS, make_peer
from experiments.studies.headroom.runner import FLOOR, run_peer, run_policy
from experiments.studies.headroom.task import Task, headroom
from experiments.studies.table import Figure, Study
from policies.registry import POLICIES, STATELESS

DEVELOPMENT, REPORT = range(5), range(100, 110)
"""Seeds on which learners may be tuned, and seeds that are only reported."""

EARLY = 0.4
"""Share of a marketing world's decisions that make its `early` figure: 8,000 of 20,000."""

_SMALL = 1_000  # decisions of a quick run

Make = Callable[[int], Task]
Method = Callable[[Task, int], NDArray[np.float64]]


def worlds(*, quick: bool = False) -> dict[str, Make]:
    """Return what makes each world from a seed; quick ones are cut short.

    Example:
        >>> list(worlds())[:4]
        ['mkt24', 'mkt120', 'mkt24x', 'mkt120x']
    """
    short = _SMALL if quick else None
    makes: dict[str, Make] = {}
    for wild in (False, True):
        for actions in DECISIONS:
            make = partial(_marketing, actions, short, wild)
            makes[f"mkt{actions}{'x' * wild}"] = make
    return makes | {name: partial(dense, name, short) for name in DENSE}


def _marketing(actions: int, decisions: int | None, wild: bool, seed: int) -> Task:
    return marketing(actions, decisions, seed, misspecified=wild)


def methods() -> dict[str, Method]:
    """Return every learner of the registry that learns, and the peers, by name."""
    ours = {name: partial(_run_ours, name) for name in POLICIES if name not in STATELESS}
    return {**ours, **{name: partial(_run_theirs, name) for name in PEERS}}


def _run_ours(name: str, task: Task, seed: int) -> NDArray[np.float64]:
    del seed  # the task's own random numbers draw its actions
    return run_policy(task, name, floor=0.0 if name.startswith("vw_") else FLOOR)


def _run_theirs(name: str, task: Task, seed: int) -> NDArray[np.float64]:
    actions, columns = task.allowed.shape[1], 1 + task.x.shape[1]
    return run_peer(task, make_peer(name, actions, columns, seed))


def mean_figure(values: Sequence[float] | NDArray[np.float64]) -> Figure:
    """Return the mean over seeds and its standard error, if there are two seeds.

    Example:
        >>> mean_figure([40.0, 44.0]).text(1)
        '42.0 +- 2.0'
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Figure(mean)
    return Figure(mean, float(np.std(values, ddof=1)) / math.sqrt(len(values)))


def measure(
    make: Make, chosen: Mapping[str, Method], seeds: Iterable[int]
) -> dict[str, NDArray[np.float64]]:
    """Return each method's headroom on one world, (S, 2): of its early decisions, and of all."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
    for seed in seeds:
        task = make(seed)
        for name, method in chosen.items():
            answers = method(task, seed)  # (N, A)
            early = headroom(task, answers[: round(EARLY * len(task))])
            found[name].append((early, headroom(task, answers)))
    return {name: np.array(pairs) for name, pairs in found.items()}


def study(makes: Mapping[str, Make], chosen: Mapping[str, Method], seeds: Sequence[int]) -> Study:
    """Measure methods on worlds: rows by method, columns by world."""
    columns: dict[str, dict[str, Figure]] = {}
    for world, make in makes.items():
        found = measure(make, chosen, seeds)
        columns[world] = {name: mean_figure(pairs[:, 1]) for name, pairs in found.items()}
        if world.startswith("mkt"):
            early = {name: mean_figure(pairs[:, 0]) for name, pairs in found.items()}
            columns[f"{world} early"] = early
    return Study(
        name="headroom",
        title=f"Headroom captured, percent, mean over {len(seeds)} seeds +- standard error",
        columns=tuple(columns),
        rows={name: [column[name] for column in columns.values()] for name in chosen},
        notes=(
            "100 (policy - uniform) / (oracle - uniform) in true expected rewards, every decision",
            f"early: the first {EARLY:.0%} of the decisions; x: misspecified",
            f"floor {FLOOR:g} on our learners; Vowpal Wabbit's own; none on the peers",
        ),
        params={"seeds": f"{seeds[0]}-{seeds[-1]}"},
    )


def delay_study(learners: Sequence[str], seeds: Sequence[int], *, quick: bool = False) -> Study:
    """Measure learners in the delay world: rows by course, columns by learner."""
    rows: dict[str, list[Figure | None]] = {course: [] for course in COURSES}
    made = [delay_world(_SMALL, seed) if quick else delay_world(seed=seed) for seed in seeds]
    for course, row in rows.items():
        for learner in learners:
            captured = [headroom(w.task, run_course(w, course, learner)) for w in made]
            row.append(mean_figure(captured))
    return Study(
        name="headroom_delay",
        title=f"Headroom captured with late outcomes, percent, {len(seeds)} seeds",
        columns=tuple(learners),
        rows=rows,
        params={"seeds": f"{seeds[0]}-{seeds[-1]}"},
    )
