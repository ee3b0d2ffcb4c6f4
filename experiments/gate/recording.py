"""Gates as MLflow runs: the decision, with everything that is needed to come to it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from experiments.gate.criteria import Criteria
from experiments.tracking import Place
from experiments.tracking.store import record_run

EXPERIMENT = "gates"

_COUNTS = ("decisions", "conversions", "canary", "champion", "breaches")


@dataclass(frozen=True)
class Facts:
    """What a gate was asked, beside its criteria.

    Args:
        candidate, champion: as they were named.
        fingerprint: SHA-256 of the log.
        revisions: ids of those that decided.
        hashes: SHA-256 of each file that a policy was read from, by its role: two files of one name
            in different folders are two files.
        command: that comes to the same decision again.
    """

    candidate: str
    champion: str
    fingerprint: str
    revisions: tuple[str, ...]
    hashes: Mapping[str, str]
    command: str


def record_gate(place: Place, facts: Facts, criteria: Criteria, found: Mapping[str, Any]) -> str:
    """Record a decision as one finished run; return the run's id.

    A gate draws nothing at random, so it has no seed: the parameter says so.

    Args:
        place: where to.
        facts: what was asked.
        criteria: what was asked for.
        found: of `judgement_record` or `canary_record`.

    Raises:
        StateError: the store cannot be made, reached or written.
    """
    params = {
        "candidate": facts.candidate, "champion": facts.champion, "log_sha256": facts.fingerprint,
        "revisions": " ".join(facts.revisions), "criteria_sha256": criteria.digest,
        "alpha": f"{criteria.alpha:g}", "seed": "none: nothing is drawn", "command": facts.command,
    }  # fmt: skip
    params |= {f"sha256.{name}": value for name, value in facts.hashes.items()}
    metrics = {
        f"{each['estimator']}.{name}": float(each[name])
        for each in found.get("differences", ())
        for name in ("value", "stderr", "low", "high")
    }
    metrics |= {name: float(found[name]) for name in _COUNTS if found.get(name) is not None}
    for policy, figures in found.get("diagnostics", {}).items():  # known also where it is refused
        metrics |= {f"{policy}.{name}": float(value) for name, value in figures.items()}
    tags = {"outcome": str(found["outcome"]), "exit_code": str(found["exit_code"])}
    files = {
        "gate.json": orjson.dumps(dict(found), option=orjson.OPT_INDENT_2),
        "criteria.json": criteria.model_dump_json(indent=2).encode(),
    }
    return record_run(
        place.open(), EXPERIMENT, f"{facts.candidate} over {facts.champion}",
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        params=params, tags=tags, artifacts=files,
    )  # fmt: skip
