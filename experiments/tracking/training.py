"""Trainings as runs: what a learner was taught in, and what it earned as it learned.

In a simulated market without a server, and in the demo with one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.groups import Group
from experiments.demo.closing import Closing
from experiments.demo.run import Demo
from experiments.logs import fingerprint
from experiments.tracking.store import record_run
from simulators.results import Rollout
from simulators.truth import realised_value

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TRAININGS = "trainings"

_PER = 1_000.0


@dataclass(frozen=True, slots=True)
class Training:
    """One training in a simulated market.

    Args:
        run: what happened.
        world: name of the market.
        seed: fixes its customers and their luck.
        fingerprint: SHA-256 of the written log; empty if none was written.
    """

    run: Rollout
    world: str
    seed: int
    fingerprint: str = ""


def record_training(
    client: MlflowClient, training: Training, *, artifacts: Mapping[str, bytes] | None = None
) -> str:
    """Record a training as one finished run and return the run's id.

    Metrics are `GROUP.earned` and `GROUP.truth`, currency per 1,000 customers over the whole time,
    with and without the luck of outcomes, and by round `GROUP.truth_by_round`, the mean true value
    of a decision times 1,000: the learning curve.

    Args:
        client: from `open_tracking`.
        training: what was done.
        artifacts: files to keep with the run, by name; the sealed snapshot among them.
    """
    run = training.run
    policy = run.revision.agent.policy
    params = {
        "agent": run.revision.agent.agent,
        "revision": run.revision.id,
        "learner": policy.learner,
        "settings": json.dumps(policy.settings, sort_keys=True, default=str),
        "world": training.world,
        "seed": str(training.seed),
        "customers": str(len(np.unique(run.customers))),
        "rounds": str(int(run.rounds.max()) + 1),
        "decisions": str(len(run.decisions)),
    }
    if training.fingerprint:
        params["log_sha256"] = training.fingerprint
    metrics, curves = _figures(run)
    return record_run(
        client, TRAININGS, f"{policy.learner} in {training.world}, seed {training.seed}",
        metrics=metrics, params=params, tags={}, curves=curves, artifacts=artifacts,
    )  # fmt: skip


def record_demo(
    client: MlflowClient, demo: Demo, closing: Closing, *, artifacts: Mapping[str, bytes]
) -> str:
    """Record what a server has learned from simulated customers over HTTP; return the run's id.

    Metrics are named `PART.ROW.value`, `.low`, `.high` and `.truth`, as the closing table's rows.

    Args:
        client: from `open_tracking`.
        demo: that was run.
        closing: what it found out.
        artifacts: files to keep with the run, by name.
    """
    parts = {"group": closing.groups, "lift": closing.lifts, "value": closing.values}
    metrics = {
        f"{part}.{row.name.replace(' ', '_')}.{name}": value
        for part, rows in parts.items()
        for row in rows
        for name, value in (
            ("value", row.value), ("low", row.low), ("high", row.high), ("truth", row.truth),
        )
        if math.isfinite(value)
    }  # fmt: skip
    params = {
        "customers": str(demo.customers), "rounds": str(demo.rounds), "seed": str(demo.seed),
        "decisions": str(closing.decisions), "log_sha256": fingerprint(demo.log),
    }  # fmt: skip
    return record_run(
        client, TRAININGS, f"demo, seed {demo.seed}", metrics=metrics, params=params,
        tags={"audit": "passed" if closing.audit_passed else "failed"}, artifacts=artifacts,
    )  # fmt: skip


def _figures(run: Rollout) -> tuple[dict[str, float], dict[str, dict[int, float]]]:
    """Return the metrics, and the curves by round."""
    rewards, values = run.rewards(), realised_value(run.expected, run.actions)  # (N,) each
    metrics: dict[str, float] = {}
    curves: dict[str, dict[int, float]] = {}
    for group in Group:
        rows = run.in_group(group)  # (N,)
        if not rows.any():
            continue
        people = len(np.unique(run.customers[rows]))
        metrics[f"{group}.earned"] = _PER * float(rewards[rows].sum()) / people
        metrics[f"{group}.truth"] = _PER * float(values[rows].sum()) / people
        curves[f"{group}.truth_by_round"] = {
            int(each): _PER * float(values[rows & (run.rounds == each)].mean())
            for each in np.unique(run.rounds[rows])
        }
    return metrics, curves
