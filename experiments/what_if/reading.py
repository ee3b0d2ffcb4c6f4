"""What a question about guardrails is asked of: the decisions of one revision of a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.groups import Group
from agents.load import load_workspace
from agents.revision import Revision
from experiments.logs import LoggedDecisions, read_log, read_table
from experiments.revisions import read_revisions
from experiments.targets.supplied import supplied_ids
from experiments.what_if.rows import Rows, as_columns, by_request

_BLOCK = 1_024  # rows as Python objects at a time


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
    """
    table = read_table(path)
    log = read_log(path, agent=agent).unthinned("what-if")
    name = agent or str(table["agent"][0])
    known = read_revisions(path) if workspace is None else _of_folder(workspace, name)
    found = _chosen(log, known, workspace, wanted=revision)
    drawn = np.isin(log.group.astype(str), [Group.TREATMENT, Group.RANDOM])
    kept = (log.revision == found.id) & drawn
    if not kept.any():
        raise LogError(f"expected closed decisions of revision {found.id}, got none")
    left_out = int(np.count_nonzero(drawn & ~kept))
    log = _laid_out(log.where(np.asarray(kept, dtype=np.bool_)), found)
    columns = np.arange(log.distribution.shape[1])
    if log.listed is None:
        columns = np.array([log.actions.index(each) for each in found.action_ids], dtype=np.int64)
    rows = Rows(log, found, columns, np.empty((0, 0), np.object_), np.empty((0, 0)), left_out)
    ids = table["decision_id"].to_pylist()
    place = {decision: row for row, decision in enumerate(ids)}
    chosen = [place[decision] for decision in log.decision_id.tolist()]
    told = _told(table.select(["actions", "mask", "expected"]).take(chosen), rows)
    return replace(rows, reasons=told.reasons, expected=told.expected)


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


def _laid_out(log: LoggedDecisions, revision: Revision) -> LoggedDecisions:
    """Lay the decisions of one revision out as their actions are, declared or supplied."""
    if revision.agent.supplied is None:
        return as_columns(log, revision.action_ids)
    ids = zip(log.contexts, log.decision_id.tolist(), strict=True)
    return by_request(log, ((NONE_ID, *supplied_ids(record, name)) for record, name in ids))


@dataclass(frozen=True)
class _Told:
    """What a log tells of each action beside its probability; see `Rows`."""

    reasons: NDArray[np.object_]
    expected: NDArray[np.float64]


def _told(table: pa.Table, rows: Rows) -> _Told:
    """Read why actions were barred and what they were expected to earn.

    Args:
        table: with `actions`, `mask` and `expected` of N decisions.
        rows: the same decisions.
    """
    shape = (len(rows), len(rows.columns))
    reasons, expected = np.full(shape, "", dtype=np.object_), np.full(shape, np.nan)
    words: dict[str, str] = {}  # each once
    for start in range(0, len(rows), _BLOCK):
        block = table.slice(start, _BLOCK).to_pylist()
        for row, told in enumerate(block, start):
            place = {name: number for number, name in enumerate(rows.ids(row))}
            lists = zip(told["actions"], told["mask"], told["expected"], strict=True)
            for action, reason, value in lists:
                if reason is not None:
                    name = reason.partition(": ")[0]
                    reasons[row, place[action]] = words.setdefault(name, name)
                if value is not None:
                    expected[row, place[action]] = value
    return _Told(reasons, expected)
