"""What a question about guardrails is asked of: the decisions of one revision of a log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.declared import require_declared
from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.groups import Group
from agents.load import load_workspace
from agents.revision import Revision
from experiments.logs import LoggedDecisions, read_log, read_table
from experiments.revisions import read_revisions
from experiments.what_if.rerun import Rows


def read_rows(
    path: Path, *, workspace: Path | None = None, agent: str | None = None, revision: str = ""
) -> Rows:
    """Read the closed decisions of treatment and random that one revision made.

    Args:
        path: the log, a Parquet file or a folder of them.
        workspace: folder of the YAML that was in force; without it the revision of the log's last
            decision is taken, from the folder `revisions` beside the log.
        agent: whose decisions; may be left out if the log holds one agent only.
        revision: id of another revision than the last one; only without a workspace.

    Raises:
        LogError: the log is wrong, its revision is not known, or it decided nothing.
        ContextError: the agent has its actions from each request.
    """
    table = read_table(path)
    _require_declared(table, path, workspace, agent)
    log = read_log(path, agent=agent).unthinned("what-if").by_action("what-if")
    name = agent or str(table["agent"][0])
    known = read_revisions(path) if workspace is None else _of_folder(workspace, name)
    found = _chosen(log, known, workspace, wanted=revision)
    drawn = np.isin(log.group.astype(str), [Group.TREATMENT, Group.RANDOM])
    kept = (log.revision == found.id) & drawn
    if not kept.any():
        raise LogError(f"expected closed decisions of revision {found.id}, got none")
    left_out = int(np.count_nonzero(drawn & ~kept))
    log = log.where(np.asarray(kept, dtype=np.bool_))
    ids = table["decision_id"].to_pylist()
    place = {decision: row for row, decision in enumerate(ids)}
    chosen = [place[decision] for decision in log.decision_id.tolist()]
    part = table.select(["actions", "mask", "expected"]).take(chosen).to_pydict()
    columns = np.array([log.actions.index(each) for each in found.action_ids], dtype=np.int64)
    lists = list(zip(part["actions"], part["mask"], part["expected"], strict=True))
    return Rows(log, found, columns, _reasons(lists, found), _expected(lists, found), left_out)


def _require_declared(
    table: pa.Table, path: Path, workspace: Path | None, agent: str | None
) -> None:
    """Refuse the log of an agent that has other actions in each decision."""
    names = [agent] if agent else table["agent"].unique().to_pylist()
    known = read_revisions(path) if workspace is None else load_workspace(workspace).revisions
    for revision in known.values():
        if names == [revision.agent.agent]:
            require_declared(revision, "a rule that is tried on a whole log")


def _of_folder(folder: Path, agent: str) -> dict[str, Revision]:
    revisions = load_workspace(folder).revisions
    if agent not in revisions:
        raise UnknownNameError(
            f"--workspace: {folder} has no agent {agent!r}; {did_you_mean(agent, revisions)}"
        )
    return {revisions[agent].id: revisions[agent]}


def _chosen(
    log: LoggedDecisions, known: Mapping[str, Revision], workspace: Path | None, wanted: str
) -> Revision:
    """Return the revision that is asked about."""
    if not len(log):
        raise LogError("expected closed decisions, got none; an outcome could still arrive")
    names = log.revision.tolist()
    if workspace is not None:
        (found,) = known.values()
        if found.id not in names:
            raise LogError(
                f"--workspace: {workspace} is revision {found.id}, which decided nothing in this"
                f" log; it was {', '.join(sorted(set(names)))}"
            )
        return found
    newest = wanted or str(log.revision[np.argmax(log.at)])
    if newest not in known:
        raise LogError(
            f"expected revisions/{newest}.json beside the log, got none; or say --workspace FOLDER"
        )
    return known[newest]


_Lists = list[tuple[list[str], list[str | None], list[float | None]]]


def _reasons(lists: _Lists, revision: Revision) -> NDArray[np.object_]:
    """Return the name of what barred each action, in the revision's order; (N, A)."""
    found = np.full((len(lists), len(revision.action_ids)), "", dtype=np.object_)
    for row, (actions, mask, _) in enumerate(lists):
        for action, reason in zip(actions, mask, strict=True):
            if reason is not None:
                found[row, revision.index(action)] = reason.partition(": ")[0]
    return found


def _expected(lists: _Lists, revision: Revision) -> NDArray[np.float64]:
    """Return the logged expected rewards, in the revision's order; (N, A), NaN where unknown."""
    found = np.full((len(lists), len(revision.action_ids)), np.nan)
    for row, (actions, _, values) in enumerate(lists):
        places = [revision.index(action) for action in actions]
        found[row, places] = [np.nan if value is None else value for value in values]
    return found
