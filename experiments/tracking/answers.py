"""Answers of any command as runs: what was asked, every figure, and the JSON as it was told."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Self

import orjson
import typer

from experiments.logs import fingerprint
from experiments.telling import command_of, given_in, shown
from experiments.tracking.place import Place
from experiments.tracking.store import record_run

EXPERIMENTS = {"lift": "lifts", "what-if": "what-ifs", "fairness": "fairness"}
"""MLflow experiment by command."""

_NAMES = ("metric", "what", "rule", "estimator", "segment", "group")  # what a row is named by
_LONGEST = 250  # characters of a metric's name
_MOST = 5_000  # characters of a tag
_BARRED = re.compile(r"[^\w.\- /]")


@dataclass(frozen=True, slots=True)
class Question:
    """What a command was asked.

    Args:
        command: its name, a key of `EXPERIMENTS`.
        log: file or folder of the log.
        params: its arguments and options, by name.
        again: the command line that gives the same answer.
    """

    command: str
    log: Path
    params: Mapping[str, str]
    again: str

    @classmethod
    def of(cls, context: typer.Context, log: Path) -> Self:
        """Read it from a command that runs."""
        return cls(context.info_name or "", log, given_in(context), command_of(context))


def record_answer(place: Place, question: Question, record: Mapping[str, object]) -> str:
    """Record an answer as one finished run; return the run's id.

    Metrics are the figures of the answer, named after where they stand in its JSON.

    Args:
        place: where to.
        question: what was asked.
        record: the answer, as its JSON has it; it is kept as a file too.

    Raises:
        StateError: the store cannot be made, reached or written.
    """
    flags = {name: str(each) for name, each in record.items() if isinstance(each, bool)}
    words = {
        name: "; ".join(each)[:_MOST]
        for name, each in record.items()
        if isinstance(each, list) and all(isinstance(line, str) for line in each)
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return record_run(
        place.open(), EXPERIMENTS[question.command], f"{question.command} {shown(question.log)}",
        metrics=dict(figures(record)),
        params={
            **question.params, "log_sha256": fingerprint(question.log), "command": question.again,
        },
        tags=flags | words,
        artifacts={f"{question.command}.json": orjson.dumps(dict(record), option=options)},
    )  # fmt: skip


def keep_answer(
    place: Place | None, question: Question, record: Mapping[str, object], *, quiet: bool
) -> None:
    """Record an answer if it is to be, and say where.

    Args:
        place: where to; None for nowhere.
        question: what was asked.
        record: the answer, as its JSON has it.
        quiet: whether a machine reads the output, so that where is said beside it, as an error.

    Raises:
        StateError: the store cannot be made, reached or written.
    """
    if place is None:
        return
    run = record_answer(place, question, record)
    typer.echo("\n".join(place.told(run)), err=quiet)


def figures(found: object, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the finite numbers of an answer by name; rows that have none of their own are left out.

    Args:
        found: plain values, as for JSON.
        prefix: of the names.

    Example:
        >>> rows = [{"group": "plus", "value": 2.5, "low": None}]
        >>> dict(figures({"decisions": 3, "supported": True, "groups": rows}))
        {'decisions': 3.0, 'groups.plus.value': 2.5}
    """
    if isinstance(found, Mapping):
        for name, each in found.items():
            yield from figures(each, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(found, (list, tuple)):
        for each in found:
            name = _name(each)
            if name:
                yield from figures(each, f"{prefix}.{name}")
    elif isinstance(found, Real) and not isinstance(found, bool) and math.isfinite(found):
        yield _BARRED.sub("_", prefix)[:_LONGEST], float(found)


def _name(row: object) -> str:
    if not isinstance(row, Mapping):
        return ""
    return ".".join(row[key] for key in _NAMES if isinstance(row.get(key), str))
