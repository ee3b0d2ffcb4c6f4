"""The study's two sides do the same work; how fast is for the study to say."""

from __future__ import annotations

from typing import cast

import pyarrow as pa
import pytest

from agents.decisions import Decision
from agents.revision import Revision
from experiments.studies.table_speed import (
    crowd_of,
    guarded_revision,
    open_revision,
    sides,
    study,
)
from policies.registry import create_policy


@pytest.mark.parametrize("revision", [open_revision(), guarded_revision()])
def test_both_sides_decide_alike(revision: Revision) -> None:
    parts = sides(revision, create_policy(revision), crowd_of(revision, 40, seed=5))
    single, table = parts["decide"]
    decided = cast("list[Decision]", single())
    drawn = [(d.decision_id, d.action_id, d.propensity) for d in decided]
    found = cast("pa.Table", table()).select(["decision_id", "action", "propensity"])
    assert [tuple(row.values()) for row in found.to_pylist()] == drawn
    assert len(drawn) == 40


def test_all_24_actions_are_allowed_where_that_is_said() -> None:
    revision = open_revision()
    (mask,) = (revision.mask(context) for context in crowd_of(revision, 1, seed=1).contexts)
    assert (int(mask.allowed.sum()), len(guarded_revision().actions)) == (25, 25)


def test_each_part_has_its_figures() -> None:
    found = study(rounds=1, count=300)
    assert len(found.rows) == 6
    for single, table, ratio in found.rows.values():
        assert single is not None
        assert table is not None
        assert ratio is not None
        assert ratio.value == pytest.approx(table.value / single.value)
