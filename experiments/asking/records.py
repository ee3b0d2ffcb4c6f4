"""An answer as JSON: what may be told, and nothing that may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from experiments.asking.asker import Answer, Asker
from experiments.asking.differences import Difference
from experiments.asking.parts import Part
from experiments.asking.segments import Segment
from experiments.evaluate import Evaluation
from experiments.html.records import to_json

_AMOUNTS = ("value", "stderr", "low", "high")


def answer_json(
    answer: Answer, asker: Asker, fingerprint: str, command: str, warnings: Sequence[str] = ()
) -> str:
    """Write everything that was found; amounts are in currency per decision.

    Args:
        answer: to be told.
        asker: that found it.
        fingerprint: SHA-256 of the log.
        command: that repeats it.
        warnings: beside those of each policy.
    """
    record = answer_record(answer, asker, fingerprint, command)
    return to_json({**record, "warnings": list(warnings)}).decode()


def answer_record(
    answer: Answer, asker: Asker, fingerprint: str = "", command: str = ""
) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "log_sha256": fingerprint,
        "command": command,
        "currency": asker.currency,
        "decisions": len(asker.rows),
        "level": asker.level,
        "interval": {"name": asker.interval.name, "assumption": asker.interval.assumption},
        **found_record(answer),
    }


def found_record(answer: Answer) -> dict[str, Any]:
    """Return what was found, without what it was found in."""
    return {
        "supported": answer.supported,
        "evaluations": [evaluation_record(each) for each in answer.evaluations],
        "differences": [_difference(each) for each in answer.differences],
        "segments": [
            {"by": each.by, "segments": [_segment(segment) for segment in each.segments]}
            for each in answer.segments
        ],
        "parts": [_part(each) for each in answer.parts],
    }


def evaluation_record(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation; below the limits it has no estimates unless they were forced."""
    verdict = evaluation.verdict
    return {
        "policy": evaluation.target,
        "verdict": "supported" if verdict.supported else "not supported",
        "forced": evaluation.forced and not verdict.supported,
        "reasons": [check.words for check in verdict.reasons],
        "needed": list(verdict.needed),
        "warnings": list(evaluation.warnings),
        "checks": [asdict(check) for check in verdict.checks],
        "estimates": [asdict(row) for row in evaluation.shown],
        "diagnostics": asdict(evaluation.diagnostics),
    }


def _difference(found: Difference) -> dict[str, Any]:
    return _withheld(asdict(found), shown=found.shown)


def _segment(found: Segment) -> dict[str, Any]:
    return {
        "segment": found.name,
        "decisions": found.n,
        "refused": found.refused,
        "evaluations": [evaluation_record(each) for each in found.evaluations],
        "differences": [_difference(each) for each in found.differences],
    }


def _part(found: Part) -> dict[str, Any]:
    value = found.shown
    return asdict(found) | {"value": None if value is None else asdict(value)}


def _withheld(record: Mapping[str, Any], *, shown: bool) -> dict[str, Any]:
    hidden = {} if shown else dict.fromkeys(_AMOUNTS)
    return {**record, **hidden}
