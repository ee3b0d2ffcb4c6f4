"""Reading logs: Parquet files of the log's schema, checked before anything is computed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.errors import LogError, did_you_mean
from agents.log import SCHEMA
from experiments.logs.columns import (
    CODED,
    bools,
    closed_rows,
    codes,
    floats,
    instants,
    texts,
    typed_table,
)
from experiments.logs.contexts import Contexts, joined
from experiments.logs.decisions import LoggedDecisions
from experiments.logs.marks import full_distribution, whole_file
from experiments.logs.origin import Origin
from experiments.logs.validation import check_ids, dense, parse_contexts


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
    table, origin = _gather(path, CODED)
    log = _decisions(table, origin, agent, include_open=include_open)
    return replace(log, whole=all(whole_file(file) for file in log_files(path)))


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
    log = _decisions(typed_table(table, origin), origin, agent, include_open=include_open)
    return replace(log, whole=full_distribution(table))


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


def _gather(path: Path, coded: Sequence[str] = ()) -> tuple[pa.Table, Origin]:
    tables = {file.name: _read_file(file, coded) for file in log_files(path)}
    origin = Origin.of({name: table.num_rows for name, table in tables.items()})
    parts = list(tables.values())
    if any(part.schema != parts[0].schema for part in parts):  # codes in one, text in another
        parts = [part.cast(SCHEMA) for part in parts]
    return pa.concat_tables(parts).unify_dictionaries(), origin


def _read_file(file: Path, coded: Sequence[str]) -> pa.Table:
    try:
        table = pq.read_table(file, partitioning=None, read_dictionary=coded)
    except (pa.ArrowInvalid, OSError) as error:
        message = f"{file.name}: expected a Parquet file of the decision log: {error}"
        raise LogError(message) from None
    return typed_table(table, Origin.of({file.name: table.num_rows}))


def _decisions(
    table: pa.Table, origin: Origin, agent: str | None, *, include_open: bool
) -> LoggedDecisions:
    chosen = choose_agent(codes(joined(table["agent"]))[0], agent)
    table, origin = only_agent(table, origin, chosen)
    check_ids(table, origin)
    return to_decisions(table, origin, include_open=include_open)


def to_decisions(
    table: pa.Table,
    origin: Origin,
    *,
    include_open: bool = False,
    actions: Sequence[str] | None = None,
    places: int = 0,
    contexts: Contexts | NDArray[np.object_] | None = None,
) -> LoggedDecisions:
    """Check some rows of one agent's log, and turn them into arrays.

    Ids that occur twice are looked for elsewhere, since a piece of a log cannot tell.

    Args:
        table: rows of the schema's types.
        origin: where they are from.
        include_open: as for `read_log`.
        actions: of the whole log, if the table is a part of it.
        places: see `lay_out`.
        contexts: of these rows, if they have been read already.

    Raises:
        LogError: a row is malformed; names file, row and column.
    """
    arrays = dense(table, origin, actions, places)
    log = LoggedDecisions(
        decision_id=texts(table, "decision_id"),
        customer=texts(table, "customer"),
        group=texts(table, "group"),
        revision=texts(table, "revision"),
        policy=texts(table, "policy"),
        snapshot=texts(table, "snapshot"),
        at=instants(table, "at"),
        contexts=parse_contexts(joined(table["context"]), origin) if contexts is None else contexts,
        action=arrays.action,
        propensity=arrays.propensity,
        distribution=arrays.distribution,
        allowed=arrays.allowed,
        reward=arrays.reward,
        outcome_value=arrays.outcome_value,
        outcomes=arrays.outcomes,
        actions=arrays.actions,
        stands=stands_for(table, origin),
        listed=arrays.listed,
    )
    made = bools(table["given_back"].is_null())  # (N,)
    closed = closed_rows(table)  # (N,)
    kept = made if include_open else made & closed  # (N,)
    return replace(
        log if kept.all() else log.where(kept),
        given_back_rows=int(np.count_nonzero(~made)),
        open_rows=0 if include_open else int(np.count_nonzero(made & ~closed)),
    )


def stands_for(table: pa.Table, origin: Origin) -> NDArray[np.float64] | None:
    """Return how many decisions each row of a thinned log stands for, (N,); None if it is whole."""
    if table["kept"].null_count == len(table):
        return None
    kept = floats(pc.fill_null(table["kept"], 1.0))  # (N,)
    good = (kept > 0.0) & (kept <= 1.0)
    origin.require(good, "kept", "a probability above 0, at most 1", kept)
    return None if np.all(kept == 1.0) else 1.0 / kept


def choose_agent(agents: Iterable[str | None], wanted: str | None) -> str:
    """Return the agent that is meant, of those that a log has.

    Raises:
        LogError: there is none, it has several and none was named, or not that one.
    """
    names = sorted({str(agent) for agent in agents})
    if not names:
        raise LogError("expected at least one decision, got an empty log")
    if wanted is None and len(names) > 1:
        raise LogError(
            f"expected decisions of one agent, got {', '.join(names)}; say which agent is meant"
        )
    if wanted is not None and wanted not in names:
        raise LogError(f"the log has no agent {wanted!r}; {did_you_mean(wanted, names)}")
    return wanted or names[0]


def only_agent(table: pa.Table, origin: Origin, agent: str) -> tuple[pa.Table, Origin]:
    """Keep the rows of one agent."""
    names, numbers = codes(joined(table["agent"]))
    wanted = np.array([name == agent for name in names], dtype=np.bool_)[numbers]  # (N,)
    if wanted.all():
        return table, origin
    return table.filter(pa.array(wanted)), origin.keep(wanted)
