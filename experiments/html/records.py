"""Evaluations as rows: what a researcher copies, as TSV and as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from experiments.evaluate import Evaluation
from experiments.trust import checks, reasons

COLUMNS = (
    "policy", "estimator", "value", "low", "high", "stderr", "level", "n", "ess",
    "effective_conversions", "verdict",
)  # fmt: skip


def table_rows(evaluations: Sequence[Evaluation]) -> list[dict[str, str | float | int]]:
    """Return one row an estimate, in currency per decision, with `COLUMNS` as keys."""
    return [
        {
            "policy": each.target, "estimator": row.estimator, "value": row.value, "low": row.low,
            "high": row.high, "stderr": row.stderr, "level": row.level, "n": row.n, "ess": row.ess,
            "effective_conversions": row.effective_conversions,
            "verdict": _verdict(each),
        }
        for each in evaluations
        for row in each.shown
    ]  # fmt: skip


def _verdict(evaluation: Evaluation) -> str:
    if not reasons(evaluation):
        return "supported"
    return "not supported, FORCED" if evaluation.forced else "not supported"


def to_tsv(evaluations: Sequence[Evaluation]) -> str:
    """Write the rows with tabs between them and a header, for a spreadsheet.

    A name that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    for row in table_rows(evaluations):
        writer.writerow({key: _harmless(value) for key, value in row.items()})
    return out.getvalue()


def _harmless(value: str | float | int) -> str:
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@")) else text


def evaluation_records(
    evaluations: Sequence[Evaluation], *, fingerprint: str = "", command: str = ""
) -> dict[str, Any]:
    """Return everything that was found, as plain values for JSON.

    Args:
        evaluations: on the same log.
        fingerprint: SHA-256 of the log.
        command: that repeats it.
    """
    return {
        "log_sha256": fingerprint,
        "command": command,
        "evaluations": [
            {
                "policy": each.target,
                "verdict": _verdict(each),
                "checks": [asdict(check) for check in checks(each)],
                "warnings": list(each.warnings),
                "estimates": [asdict(row) for row in each.shown],
                "diagnostics": asdict(each.diagnostics),
            }
            for each in evaluations
        ],
    }


def to_json(record: Mapping[str, Any]) -> bytes:
    """Write a record as indented JSON; what is not finite is null."""
    return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
