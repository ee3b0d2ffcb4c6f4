"""Logs larger than one machine: the pieces of a log on a Ray cluster, with the same numbers.

Only this module of the room knows Ray. Import it when it is asked for, once Ray's variables
are set: Ray reads them when it is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic

import ray.data

from experiments.streaming.passes import S, Step
from experiments.streaming.source import Piece

_ANSWER = "answer"


def on_ray(step: Step[S], pieces: Sequence[Piece], /) -> Iterator[S]:
    """Do something with every piece, by Ray Data on the cluster that this process is connected to.

    Each task reads one piece and returns its sums. The answers come in the order of the pieces,
    so that adding them up rounds as it does on one machine, to the bit. The files must be readable
    under the same path on every machine.

    Args:
        step: what is done with a piece.
        pieces: of a log.

    Returns:
        The answers, for `evaluate_stream(..., run=on_ray, local=False)`.
    """
    rows = [{**asdict(piece), "file": str(piece.file.absolute())} for piece in pieces]
    asked = ray.data.from_items(rows, override_num_blocks=len(rows))
    answered = asked.map(_Each(step))
    answered.context.execution_options.preserve_order = True
    return (row[_ANSWER] for row in answered.iter_rows())


@dataclass(frozen=True)
class _Each(Generic[S]):
    """A step, as Ray Data applies it to a row."""

    step: Step[S]

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {_ANSWER: self.step(Piece(**{**row, "file": Path(row["file"])}))}
