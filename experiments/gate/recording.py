"""Gates as MLflow runs: the decision, with everything that is needed to come to it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from experiments.gate.criteria import Criteria
from experiments.tracking import DATABASE, open_tracking
from experiments.tracking.store import record_run

EXPERIMENT = "gates"


@dataclass(frozen=True)
class Facts:
    """What a gate was asked, beside its criteria.

    Args:
        candidate, champion: as they were named.
        fingerprint: SHA-256 of the log.
        revisions: ids of those that decided.
        hashes: SHA-256 of each file that a policy was read from.
        command: that comes to the same decision again.
    """

    candidate: str
    champion: str
    fingerprint: str
    revisions: tuple[str, ...]
    hashes: Mapping[str, str]
    command: str


def record_gate(folder: Path, facts: Facts, criteria: Criteria, found: Mapping[str, Any]) -> str:
    """Record a decision as one finished run; return the run's id.

    A gate draws nothing at random, so it has no seed: the parameter says so.

    Args:
        folder: of the MLflow store, made if missing.
        facts: what was asked.
        criteria: what was asked for.
        found: of `judgement_record` or `canary_record`.

    Raises:
        StateError: the folder cannot be made or written.
    """
    params = {
        "candidate": facts.candidate, "champion": facts.champion, "log_sha256": facts.fingerprint,
        "revisions": " ".join(facts.revisions), "criteria_sha256": criteria.digest,
        "alpha": f"{criteria.alpha:g}", "seed": "none: nothing is drawn", "command": facts.command,
    }  # fmt: skip
    params |= {f"sha256.{name}": value for name, value in _places(facts.hashes).items()}
    metrics = {
        f"{each['estimator']}.{name}": float(each[name])
        for each in found.get("differences", ())
        for name in ("value", "stderr", "low", "high")
    }
    metrics |= {name: float(found[name]) for name in ("decisions", "canary") if name in found}
    tags = {"outcome": str(found["outcome"]), "exit_code": str(found["exit_code"])}
    files = {
        "gate.json": orjson.dumps(dict(found), option=orjson.OPT_INDENT_2),
        "criteria.json": criteria.model_dump_json(indent=2).encode(),
    }
    return record_run(
        open_tracking(folder), EXPERIMENT, f"{facts.candidate} over {facts.champion}",
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        params=params, tags=tags, artifacts=files,
    )  # fmt: skip


def told(folder: Path, run: str) -> str:
    """Say where a decision was recorded."""
    return f"recorded in {folder / DATABASE}, run {run}"


def _places(hashes: Mapping[str, str]) -> dict[str, str]:
    """Name files by their last part, as paths tell about a machine."""
    return {Path(name).name: value for name, value in hashes.items()}
