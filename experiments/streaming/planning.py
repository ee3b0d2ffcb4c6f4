"""What is asked of a streamed log, and what the last pass over it is to measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.revision import Revision
from experiments.asking.parts import named_parts
from experiments.estimators import Estimator, candidates_of, find_estimator
from experiments.evaluate import SNIPS
from experiments.logs import log_files
from experiments.logs.marks import whole_file
from experiments.logs.places import class_names, places_for
from experiments.reward_models.action_columns import ActionColumns
from experiments.reward_models.features import Encoding
from experiments.reward_models.ridge import FOLDS, fit_others
from experiments.streaming.answering import pairs_of
from experiments.streaming.measuring import Asked, TakeMeasure, Target
from experiments.streaming.passes import Run, Survey, TakeMoments, added
from experiments.streaming.reading import Reader
from experiments.streaming.segments import find_splits
from experiments.streaming.source import Piece
from experiments.streaming.times import Cuts, find_cuts

Floats = NDArray[np.float64]

_WHOLE = {
    "mrdr": "its model is fitted for each target with weights beside the mean of all of them",
    "bips": "it expects what every logger would have done at each decision of the whole log",
}
"""Estimators that a stream does not have, and why."""


@dataclass(frozen=True)
class Also:
    """What is asked of a streamed log beside the values; each costs something of its own.

    Args:
        differences: whether policies are held against each other and the logged one.
        by: fields or expressions whose segments are asked for; each costs short looks at the log.
        parts: whether each policy is taken apart by offer and channel.
        revision: whose customer schema the expressions speak of.
    """

    differences: bool = False
    by: tuple[str, ...] = ()
    parts: bool = False
    revision: Revision | None = None


NOTHING = Also()


@dataclass(frozen=True)
class Question:
    """What is asked of a log, before anything is known of it.

    Args:
        path: of the log.
        targets: that are valued, the logged policy with them if it is compared with.
        estimators: in the order they were asked for.
        also: what is asked beside the values.
    """

    path: Path
    targets: tuple[Target, ...]
    estimators: tuple[Estimator, ...]
    also: Also

    @classmethod
    def of(
        cls, path: Path, targets: tuple[Target, ...], estimators: Sequence[str], also: Also
    ) -> Question:
        """Find the estimators by their names.

        Raises:
            UnknownNameError: one does not exist.
            LogError: one needs every decision at once.
        """
        found = tuple(map(find_estimator, estimators))
        for each in found:
            if each.name in _WHOLE:
                raise LogError(
                    f"{each.name}: {_WHOLE[each.name]}; it is only for logs that are evaluated in"
                    " memory, use dr or snips for others"
                )
        return cls(path, targets, found, also)

    def plan(
        self, reader: Reader, pieces: Sequence[Piece], run: Run, survey: Survey, encoding: Encoding
    ) -> TakeMeasure:
        """Prepare the last pass: fit the reward model, if an estimator needs one."""
        modelled = any(estimator.needs_model for estimator in self.estimators)
        folds = min(FOLDS, survey.rows) if modelled else 1
        cuts = find_cuts(survey.bins, reader, pieces, run, folds)
        places = places_for(survey.actions, survey.longest, survey.rows)
        also, wanted = self.also, (SNIPS, *self.estimators)
        if also.parts and places:
            raise LogError(
                f"--parts: expected a log of few actions, got {len(survey.actions):,} distinct"
                " ones, of which each row lists some; leave it out"
            )
        pairs = pairs_of(len(self.targets)) if also.differences or also.by else ()
        splits = find_splits(
            also.by, sorted(survey.summary.features), also.revision, reader, pieces, run
        )
        return TakeMeasure(
            reader=reader,
            actions=survey.actions,
            places=places,
            rows=survey.rows,
            whole=all(whole_file(file) for file in log_files(self.path)),
            encoding=encoding,
            cuts=cuts,
            models=_models(reader, pieces, run, survey, encoding, cuts) if modelled else (),
            asked=Asked(
                tuple(dict.fromkeys(c for e in wanted for c in candidates_of(e))),
                self.targets, pairs, splits,
                tuple(named_parts(survey.actions)) if also.parts else (),
            ),
        )  # fmt: skip


def _models(
    reader: Reader,
    pieces: Sequence[Piece],
    run: Run,
    survey: Survey,
    encoding: Encoding,
    cuts: Cuts,
) -> tuple[Floats, ...]:
    if len(cuts.at) < 1:
        raise LogError("expected at least 2 decisions for a reward model, got 1")
    moments = added(run(TakeMoments(reader, survey.actions, encoding, cuts), pieces))
    return fit_others(moments.folds, ActionColumns.of(class_names(survey.actions)))
