"""The decision log as arrays: what an estimator reads, checked before anything is computed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.errors import LogError, did_you_mean
from experiments.validation import Origin, dense, parse_contexts, typed_table


@dataclass(frozen=True)
class LoggedDecisions:
    """Decisions of one agent, with the distributions they were drawn from and their rewards.

    Columns of (N, A) arrays are the union of the action sets of all revisions in the log; an
    action that a revision does not have is barred in that revision's rows.

    Args:
        decision_id, customer, group, revision, policy, snapshot: (N,) text; `customer` is hashed.
        at: (N,) datetime64[us], the instant of each decision (UTC).
        contexts: (N,) mappings as `agents.decisions.context_record` writes them.
        action: (N,) int64, column of the drawn action.
        propensity: (N,) in (0, 1], probability of the drawn action.
        distribution: (N, A) rows sum to 1, exactly 0 where barred.
        allowed: (N, A) boolean.
        reward: (N,) currency, outcome values less the action's cost.
        outcome_value: (N,) currency, the same before the cost; it says which decisions converted.
        outcomes: (N,) tuples, the name of every outcome that counted, as often as it did.
        actions: (A,) ids of the columns, `none` first.
        open_rows: number of decisions left out because an outcome could still arrive.
        given_back_rows: number of those left out because their contact was not made after all.
    """

    decision_id: NDArray[np.object_]
    at: NDArray[np.datetime64]
    customer: NDArray[np.object_]
    group: NDArray[np.object_]
    revision: NDArray[np.object_]
    policy: NDArray[np.object_]
    snapshot: NDArray[np.object_]
    contexts: NDArray[np.object_]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    distribution: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    reward: NDArray[np.float64]
    outcome_value: NDArray[np.float64]
    outcomes: NDArray[np.object_]
    actions: tuple[str, ...]
    open_rows: int = 0
    given_back_rows: int = 0

    def __len__(self) -> int:
        return len(self.action)

    def where(self, rows: NDArray[np.bool_]) -> LoggedDecisions:
        """Keep the rows where a boolean (N,) array is true.

        Raises:
            ValueError: the array has another shape or is not boolean.
        """
        if rows.shape != self.action.shape or rows.dtype != np.bool_:
            raise ValueError(
                f"expected {len(self)} booleans, one per decision; got shape {rows.shape}"
                f" of {rows.dtype}"
            )
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {k: v[rows] for k, v in values.items() if isinstance(v, np.ndarray)}
        return LoggedDecisions(**{**values, **arrays})

    def in_groups(self, *groups: str) -> LoggedDecisions:
        """Keep the decisions of the named groups."""
        return self.where(np.isin(self.group.astype(str), groups))


def read_log(
    path: Path, *, agent: str | None = None, include_open: bool = False
) -> LoggedDecisions:
    """Read a Parquet file of the log's schema, or every `*.parquet` file of a folder.

    Args:
        path: a file, or a folder whose files are read in the order of their names.
        agent: whose decisions; may be left out if the log holds one agent only.
        include_open: also keep decisions whose outcome windows have not ended. Their rewards are
            not final, so every estimate from them is biased downwards.

    Raises:
        LogError: the path holds no log, or a row is malformed; names file, row and column.
    """
    table, origin = _gather(path)
    return _decisions(table, origin, agent, include_open=include_open)


def read_table(path: Path) -> pa.Table:
    """Read a log as the table it is, all agents and open decisions included; see `read_log`.

    Raises:
        LogError: the path holds no log, or a column is missing or of another type.
    """
    return _gather(path)[0]


def from_table(
    table: pa.Table, *, agent: str | None = None, include_open: bool = False
) -> LoggedDecisions:
    """Check a table of the log's schema that is already in memory; see `read_log`."""
    origin = Origin.of({"log": table.num_rows})
    return _decisions(typed_table(table, "log"), origin, agent, include_open=include_open)


def log_files(path: Path) -> tuple[Path, ...]:
    """List the Parquet files of a log, sorted by name.

    Raises:
        LogError: there is no such file or folder, or the folder has no Parquet file.
    """
    if path.is_dir():
        files = tuple(sorted(path.glob("*.parquet")))
        if not files:
            raise LogError(f"expected at least one *.parquet file in {path}, got none")
        return files
    if not path.is_file():
        raise LogError(f"expected a Parquet file or a folder of them, got {path}: no such file")
    return (path,)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a log's files, in the order of their names, as hexadecimal digits.

    Raises:
        LogError: as `log_files`.
    """
    digest = hashlib.sha256()
    for file in log_files(path):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _gather(path: Path) -> tuple[pa.Table, Origin]:
    tables = {file.name: _read_file(file) for file in log_files(path)}
    origin = Origin.of({name: table.num_rows for name, table in tables.items()})
    return pa.concat_tables(tables.values()), origin


def _read_file(file: Path) -> pa.Table:
    try:
        table = pq.read_table(file, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        message = f"{file.name}: expected a Parquet file of the decision log: {error}"
        raise LogError(message) from None
    return typed_table(table, file.name)


def _decisions(
    table: pa.Table, origin: Origin, agent: str | None, *, include_open: bool
) -> LoggedDecisions:
    wanted = _of_agent(_text(table, "agent"), agent)  # (N,)
    table, origin = table.filter(pa.array(wanted)), origin.keep(wanted)
    arrays = dense(table, origin)
    log = LoggedDecisions(
        decision_id=_text(table, "decision_id"),
        customer=_text(table, "customer"),
        group=_text(table, "group"),
        revision=_text(table, "revision"),
        policy=_text(table, "policy"),
        snapshot=_text(table, "snapshot"),
        at=np.array(table["at"].cast(pa.timestamp("us")), dtype="datetime64[us]"),
        contexts=parse_contexts(table, origin),
        action=arrays.action,
        propensity=arrays.propensity,
        distribution=arrays.distribution,
        allowed=arrays.allowed,
        reward=arrays.reward,
        outcome_value=arrays.outcome_value,
        outcomes=arrays.outcomes,
        actions=arrays.actions,
    )
    made = np.array(table["given_back"].is_null(), dtype=np.bool_)  # (N,)
    closed = np.array(table["closed_at"].is_valid(), dtype=np.bool_)  # (N,)
    given_back = int(np.count_nonzero(~made))
    if include_open:
        return replace(log.where(made), given_back_rows=given_back)
    left_open = int(np.count_nonzero(made & ~closed))
    return replace(log.where(made & closed), open_rows=left_open, given_back_rows=given_back)


def _of_agent(agents: NDArray[np.object_], wanted: str | None) -> NDArray[np.bool_]:
    names = sorted(set(agents.tolist()))
    if not names:
        raise LogError("expected at least one decision, got an empty log")
    if wanted is None and len(names) > 1:
        raise LogError(
            f"expected decisions of one agent, got {', '.join(names)}; say which agent is meant"
        )
    if wanted is not None and wanted not in names:
        raise LogError(f"the log has no agent {wanted!r}; {did_you_mean(wanted, names)}")
    return np.asarray(agents == (wanted or names[0]), dtype=np.bool_)


def _text(table: pa.Table, column: str) -> NDArray[np.object_]:
    return np.array(table[column].to_pylist(), dtype=np.object_)
