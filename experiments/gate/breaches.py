"""Breaches: decisions of a log that broke a rule, counted by asking the rules again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.checker import check_log
from agents.load import load_workspace
from experiments.logs import read_table
from experiments.revisions import read_revisions
from experiments.what_if.reading import read_rows
from experiments.what_if.rerun import rerun


@dataclass(frozen=True, slots=True)
class Breaches:
    """Decisions against a rule.

    Args:
        count: of them.
        left_out: decisions of other revisions, which were not asked about.
        revision: whose rules were asked, for people.
    """

    count: int
    left_out: int
    revision: str


def breaches_of(
    path: Path, workspace: Path | None, *, agent: str | None = None, revision: str = ""
) -> Breaches | None:
    """Count the decisions of one revision whose drawn action a rule bars.

    With a workspace folder the whole log is checked by `agents.checker`, which shares no code with
    what decided, and the breaches of that folder's revisions count. Without one the rules of
    `revisions/ID.json` are asked again of what each decision knew.

    Args:
        path: the log.
        workspace: folder that was in force, None if there is none.
        agent: whose log; None if it holds one agent only.
        revision: id; the one of the last decision if not said.

    Returns:
        None if nothing is known of the rules.
    """
    if workspace is not None:
        return _checked(path, workspace)
    if not read_revisions(path):
        return None
    rows = read_rows(path, agent=agent, revision=revision)
    found = rerun(rows, rows.revision)
    count = int(np.count_nonzero(~found.allowed[np.arange(len(rows)), rows.drawn]))
    return Breaches(count, rows.left_out, rows.revision.id)


def _checked(path: Path, workspace: Path) -> Breaches:
    table = read_table(path)
    known = {revision.id for revision in load_workspace(workspace).revisions.values()}
    pairs = zip(table["position"].to_pylist(), table["revision"].to_pylist(), strict=True)
    own = {position for position, revision in pairs if revision in known}
    count = len({each.position for each in check_log(table, workspace) if each.position in own})
    return Breaches(count, table.num_rows - len(own), "of that folder")


def unasked(found: Breaches | None) -> list[str]:
    """Say of which decisions breaches were not counted; empty if of none."""
    if found is None:
        return ["warning: no breaches were counted: no revision is known; say --workspace FOLDER"]
    if not found.left_out:
        return []
    return [
        f"warning: breaches were counted under revision {found.revision} only, and not in"
        f" {found.left_out:,} decisions of other revisions"
    ]
