"""Warm starts from a logged history: the Parquet folder that `nextbest export` writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agents.actions import NONE_ID
from agents.errors import LogError, NextbestError, StateError, UnknownNameError, did_you_mean
from agents.groups import Group
from agents.load import load_workspace
from agents.log import LATER, SCHEMA, read_row
from agents.revision import Revision
from agents.supplied import check_ids
from agents.supplied_size import MOST_FEATURES, is_small
from policies.base import Label, Lesson
from policies.registry import check_policy, is_idle
from policies.snapshot import Manifest
from policies.teaching.logged import Logged, windows_of
from policies.teaching.warm import Past, learn_history, learn_lessons
from serving.learning.snapshots import SnapshotFolder
from serving.settings import Settings, load_keys, prepare_data

logger = logging.getLogger("nextbest.learner")

FILE = "decisions.parquet"
_ROWS = 500


def read_history(folder: Path, revision: Revision) -> Iterator[Past]:
    """Read an agent's decisions and what counted after them, in the order of commit.

    Args:
        folder: holds `decisions.parquet` and the sources of the revisions that decided.
        revision: of the agent that is to learn; its windows stand for those of a revision whose
            source the folder does not have.

    Raises:
        LogError: there is no such log, or a row is malformed; names the file and the row.
    """
    path = folder / FILE
    windows: dict[str, dict[str, timedelta]] = {}
    for number, row in _own_rows(path, revision):
        try:
            name = row["revision"]
            if name not in windows:
                windows[name] = _windows(folder / "revisions" / f"{name}.json", revision)
            logged = Logged(row["position"], read_row(row), windows[name])
            outcomes = tuple((each["outcome"], each["at"]) for each in row["outcomes"])
        except (LookupError, TypeError, ValueError) as error:
            raise LogError(f"{path}, row {number}: expected a decision: {error!r}") from error
        yield Past(logged, outcomes)


def read_lessons(folder: Path, revision: Revision) -> Iterator[Lesson]:
    """Read what a loop's decisions teach, in the order of the log: what each action was worth.

    One whose window is open teaches nothing, nor one for which all was barred, nor one that was
    deferred and is not known to have been activated, nor one with more features than a Rank may
    have; these are counted in a warning. A row that stands for others that were dropped counts as
    often as it says.

    Args:
        folder: holds `decisions.parquet`, as an export or an import writes it.
        revision: of the loop that is to learn.

    Raises:
        LogError: there is no such log, or a row is malformed, or its actions did not come with its
            request or cannot be asked about; names the file and the row.
    """
    path = folder / FILE
    (outcome,) = revision.agent.outcomes
    large = 0
    for number, row in _own_rows(path, revision):
        open_still = row["closed_at"] is None or row["state"] == "reserved"
        if open_still or not Group(row["group"]).teaches:
            continue
        try:
            decision = read_row(row)
            supplied = decision.context.supplied
            check_ids(() if supplied is None else supplied.ids)
            small = supplied is None or is_small(supplied.content)
        except (LookupError, TypeError, ValueError, NextbestError) as error:
            raise LogError(f"{path}, row {number}: expected a loop's decision: {error}") from error
        large += not small
        if small and decision.action_id != NONE_ID:
            label = Label(outcome, happened=True, weight=1.0 / (row.get("kept") or 1.0),
                          value=row["reward"])  # fmt: skip
            yield Lesson(
                decision.context, decision.mask, decision.action, decision.propensity, (label,),
                first=True,
            )  # fmt: skip
    if large:
        logger.warning(
            "%d decisions of %s have more than %d features, and teach nothing",
            large, revision.agent.agent, MOST_FEATURES,
        )  # fmt: skip


def _own_rows(path: Path, revision: Revision) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield an agent's rows; a contact that was not made teaches nothing."""
    for number, row in _rows(path):
        if row["agent"] == revision.agent.agent and row["given_back"] is None:
            yield number, row


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            missing = [name for name in SCHEMA.names if name not in {*names, *LATER}]
            if missing:
                raise LogError(
                    f"{path}: expected a column {missing[0]!r}, got none;"
                    f" {did_you_mean(missing[0], names)}"
                )
            batches = file.iter_batches(_ROWS)
            yield from enumerate(row for batch in batches for row in batch.to_pylist())
    except (OSError, pa.ArrowException) as error:
        raise LogError(f"expected a log as nextbest export writes it: {error}") from error


def _windows(source: Path, otherwise: Revision) -> dict[str, timedelta]:
    if not source.exists():
        return windows_of(otherwise)
    return windows_of(Revision.from_source(source.read_bytes()))


def warm_start_agent(workspace: Path, log: Path, agent: str, data: Path) -> Manifest:
    """Teach an agent's learner a log, and publish what it knows as the agent's first snapshot.

    The learner of the server begins with it when the agent is activated, or built anew.

    Args:
        workspace: folder with workspace.yaml and agents/.
        log: folder that `nextbest export` has written.
        agent: whose learner, and whose decisions.
        data: the server's data folder; made if missing.

    Raises:
        UnknownNameError: the workspace has no such agent.
        LogError: the log cannot be read, or holds no decision of the agent.
        StateError: the agent has learned already, or has a learner that never does.
    """
    loaded = load_workspace(workspace)
    if agent not in loaded.revisions:
        hint = did_you_mean(agent, loaded.revisions)
        raise UnknownNameError(f"{workspace} has no agent {agent!r}; {hint}")
    revision = loaded.revisions[agent]
    spec = revision.agent.policy
    if is_idle(revision):
        idle = "mode: logging" if spec.mode == "logging" else spec.learner
        raise StateError(f"{agent}: {idle} learns nothing from a log")
    prepare_data(data)
    snapshots = SnapshotFolder(Settings(workspace, data).snapshots, load_keys(data).snapshot)
    if snapshots.names(agent):
        raise StateError(f"{agent} has learned already: {snapshots.latest(agent)}; move that away")
    policy = check_policy(revision, loaded.sources[agent])
    if revision.agent.supplied is None:
        warmed = learn_history(policy, revision, read_history(log, revision))
    else:
        warmed = learn_lessons(policy, read_lessons(log, revision))
    if not warmed.lessons:
        raise LogError(f"expected decisions of {agent} to learn from in {log}, got none")
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent=agent, revision=revision.id,
        position=0, lessons=warmed.lessons, teacher=warmed.teacher,
    )  # fmt: skip
    snapshots.publish(manifest, state)
    return manifest
