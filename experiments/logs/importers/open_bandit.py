"""The Open Bandit Dataset: one CSV of impressions, and one of the items that were shown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
from numpy.typing import NDArray

from agents.errors import LogError, did_you_mean
from agents.log import SCHEMA
from experiments.logs.importers.base import (
    Features,
    Piece,
    context_json,
    fill_table,
    narrow,
    outcome_lists,
    ragged,
    spread,
)
from experiments.logs.importers.candidates import MOST_OFFERED, too_wide

ITEMS = "item_context.csv"
_IMPRESSIONS = "a CSV of the Open Bandit Dataset"
_ITEMS = "the CSV of the items, beside the impressions or as --items names it"
_BLOCK = 1_000_000  # bytes of CSV at a time
_PROPENSITY = ("propensity_score", "action_prob")
_NUMBERS = ("item_id", "position", "click")
_INSTANT = SCHEMA.field("at").type


@dataclass(frozen=True, slots=True)
class Bandit:
    """Where a campaign's files are, and what its decisions shall be called.

    Args:
        file: impressions, such as `bts/men/men.csv`.
        items: the campaign's items; `item_context.csv` beside the file if left out.
        agent, policy: names for the log; the folder above the campaign's is the policy's name.
    """

    file: Path
    items: Path | None = None
    agent: str = "open-bandit"
    policy: str = ""

    @property
    def item_file(self) -> Path:
        """The CSV of the items."""
        return self.items or self.file.parent / ITEMS


def bandit_actions(source: Bandit) -> dict[str, Features]:
    """Read the items: features by id, in the order of the ids.

    Raises:
        LogError: there is no such file, it does not number the items from 0, or the impressions
            are none.
    """
    _require(source.file)
    file = source.item_file
    table = _read(file)
    table = table.drop_columns([name for name in table.column_names if not name])
    if "item_id" not in table.column_names:
        hint = did_you_mean("item_id", table.column_names)
        raise LogError(f"{file.name}: expected a column 'item_id', got none; {hint}")
    table = table.sort_by("item_id")
    ids = table["item_id"].to_pylist()
    if ids != list(range(len(ids))):
        raise LogError(f"{file.name}: item_id: expected 0 to {len(ids) - 1}, each once, got {ids}")
    rows = table.drop_columns(["item_id"]).to_pylist()
    return {str(item): row for item, row in enumerate(rows)}


def read_open_bandit(source: Bandit, *, start: int = 0) -> Iterator[Piece]:
    """Read impressions as decisions; only the shown item's probability is known.

    Every item could be shown in each of the three positions, so all are allowed; the rest of the
    probability is spread evenly over those that were not shown. The position is the placement,
    and a feature. The files know no customers: each impression counts as one of its own, so an
    interval takes impressions as independent. A click is the outcome, and worth 1.

    Args:
        source: the campaign's files.
        start: position of the first row in the log.

    Raises:
        LogError: a file or column is missing, an item is shown that is not among the items, or
            there are too many items for each row to have them all.

    Source: Saito, Aihara, Matsutani, Narita, arXiv 2008.07146.
    """
    names = list(bandit_actions(source))
    if len(names) > MOST_OFFERED:
        raise LogError(too_wide(len(names), f"{source.item_file.name}, every item of which is"))
    done = 0
    for batch in narrow(_batches(source.file), len(names)):
        yield _piece(source, batch, names, start + done, done)
        done += batch.num_rows


def _piece(
    source: Bandit, batch: pa.Table, names: Sequence[str], position: int, first: int
) -> Piece:
    count, width = batch.num_rows, len(names)
    rows = np.arange(first, first + count)
    item = _whole(batch, "item_id", source.file, first)  # (N,)
    wrong = np.flatnonzero((item < 0) | (item >= width))
    if len(wrong):
        raise LogError(
            f"{source.file.name}, row {rows[wrong[0]]}: item_id: expected one of the {width} items"
            f" of {source.item_file.name}, got {item[wrong[0]]}"
        )
    shown = np.array(batch[_propensity(batch, source.file)], dtype=np.float64)  # (N,) null is NaN
    clicks = np.array(batch["click"], dtype=np.float64)  # (N,)
    at = batch["timestamp"].combine_chunks().cast(_INSTANT)
    ids = [f"{source.file.stem}-{row}" for row in (rows - first + position).tolist()]
    slots = _whole(batch, "position", source.file, first).tolist()
    owner = np.repeat(np.arange(count), width)  # (N x A,)
    drawn = np.tile(np.arange(width), count) == item[owner]  # (N x A,)
    distribution = spread(owner, np.ones(len(owner), dtype=np.bool_), drawn, shown)
    lengths = np.full(count, width)
    table = fill_table(
        count,
        {
            "position": pa.array(np.arange(position, position + count)),
            "decision_id": pa.array(ids), "customer": pa.array(ids), "at": at, "closed_at": at,
            "agent": source.agent, "policy": source.policy or source.file.parents[1].name,
            "context": pa.array(_contexts(batch, slots), pa.string()),
            "actions": ragged(lengths, _tiled(names, count)),
            "mask": ragged(lengths, pa.nulls(count * width, pa.string())),
            "distribution": ragged(lengths, pa.array(distribution)),
            "action": pa.array(names).take(pa.array(item)),
            "propensity": pa.array(shown),
            "outcomes": outcome_lists(clicks, at, "click"), "reward": pa.array(clicks),
        },
    )  # fmt: skip
    return Piece(table, source.file.name, rows)


def _tiled(names: Sequence[str], count: int) -> pa.Array:
    width = len(names)
    return pa.array(names).take(pa.array(np.tile(np.arange(width), count)))


def _contexts(batch: pa.Table, slots: Sequence[int]) -> list[str]:
    chosen = [name for name in batch.column_names if name.startswith("user")]
    users = batch.select(chosen).to_pylist()
    return [
        context_json({"position": slot, **user}, str(slot))
        for slot, user in zip(slots, users, strict=True)
    ]


def _propensity(batch: pa.Table, file: Path) -> str:
    found = [name for name in _PROPENSITY if name in batch.column_names]
    if not found:
        got = ", ".join(batch.column_names[:7])
        raise LogError(f"{file.name}: expected a column {' or '.join(_PROPENSITY)}, got {got}, ...")
    return found[0]


def _whole(batch: pa.Table, column: str, file: Path, first: int) -> NDArray[np.int64]:
    """Return a column of whole numbers; (N,)."""
    values = batch[column]
    if values.null_count:
        row = first + int(np.argmax(np.asarray(values.is_null())))
        raise LogError(f"{file.name}, row {row}: {column}: expected a number, got nothing")
    return np.asarray(values, dtype=np.int64)


def _batches(file: Path) -> Iterator[pa.Table]:
    try:
        for batch in _open(file):
            yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, _IMPRESSIONS, error) from None


def _open(file: Path) -> pc_csv.CSVStreamingReader:
    kinds: Mapping[str, pa.DataType] = {
        "timestamp": _INSTANT,
        **dict.fromkeys(_NUMBERS, pa.int64()),
        **dict.fromkeys(_PROPENSITY, pa.float64()),
    }
    return pc_csv.open_csv(
        file,
        read_options=pc_csv.ReadOptions(block_size=_BLOCK),
        convert_options=pc_csv.ConvertOptions(column_types=dict(kinds)),
    )


def _require(file: Path) -> None:
    """Refuse a file that is no CSV of impressions, before anything is looked for beside it."""
    try:
        with _open(file) as reader:
            names = reader.schema.names
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, _IMPRESSIONS, error) from None
    wanted = ("timestamp", *_NUMBERS)
    if not set(wanted) & set(names):
        raise LogError(
            f"{file.name}: expected {_IMPRESSIONS}, with the columns {', '.join(wanted)}; got a"
            " file without any of them"
        )
    for name in wanted:
        if name not in names:
            hint = did_you_mean(name, names)
            raise LogError(f"{file.name}: expected a column {name!r}, got none; {hint}")


def _read(file: Path) -> pa.Table:
    try:
        return pc_csv.read_csv(file)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, _ITEMS, error) from None


def _unreadable(file: Path, what: str, error: Exception) -> LogError:
    """Say that a file is not there, or holds something else."""
    if isinstance(error, OSError) and error.errno:
        return LogError(f"{file} cannot be read: {os.strerror(error.errno)}; expected {what}")
    return LogError(f"{file}: expected {what}: {error}")
