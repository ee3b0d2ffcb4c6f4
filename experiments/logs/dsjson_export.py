"""A log as DSJSON, one JSON object a line, as Vowpal Wabbit's own tools read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from agents.errors import LogError
from experiments.logs.dsjson_events import Row, dsjson_event, slots_event
from experiments.logs.importers.base import Features, read_actions
from experiments.logs.inspecting import inspect_log
from experiments.logs.read import log_files

_ROWS = 2_000  # as Python objects at a time


@dataclass(slots=True)
class Exported:
    """What became of a log's rows.

    Args:
        lines: events written; one of several slots holds a row for each.
        rows: rows in them.
        still_open: rows left out, because an outcome could still arrive.
        barred: rows left out, because every supplied action was barred: they show nothing.
    """

    lines: int = 0
    rows: int = 0
    still_open: int = 0
    barred: int = 0


def export_dsjson(log: Path, target: Path) -> Exported:
    """Write every closed decision of a log.

    Actions that came with the request go out as they came, with the features of the moment. Of
    declared ones, what `actions.json` beside the log knows goes with them; an action that is not
    there has its id as its only feature. The slots of one event become one event again.

    Args:
        log: a Parquet file, or a folder of them.
        target: the file; it has its name once it is whole.

    Raises:
        LogError: there is no such log, an error is in it, or the file cannot be written.
    """
    wrong = inspect_log(log).refused
    if wrong:
        first = "".join(f"; {at.file}, row {at.row}: {at.value}" for at in wrong[0].first[:1])
        raise LogError(f"{log}: {wrong[0].name}{first}; see nextbest quality {log}")
    known = read_actions(log if log.is_dir() else log.parent)
    part = target.with_name(f".{target.name}.part")
    try:
        return _export(log, known, part, target)
    except OSError as error:
        raise LogError(f"{target} cannot be written: {error.strerror}") from None


def _export(log: Path, known: Mapping[str, Features], part: Path, target: Path) -> Exported:
    done = Exported()
    try:
        with part.open("wb") as stream:
            for event in _events(_told(_rows(log), done)):
                stream.write(orjson.dumps(_line(event, known), option=orjson.OPT_APPEND_NEWLINE))
                done.lines += 1
                done.rows += len(event)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return done


def _rows(log: Path) -> Iterator[Row]:
    for file in log_files(log):
        with pq.ParquetFile(file) as stream:
            for batch in stream.iter_batches(_ROWS):
                yield from map(Row.of, batch.to_pylist())


def _told(rows: Iterable[Row], done: Exported) -> Iterator[Row]:
    for row in rows:
        if row.values["closed_at"] is None:
            done.still_open += 1
        elif not row.acts:
            done.barred += 1
        else:
            yield row


def _events(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Put neighbouring rows of the same request together: the slots of one event, in order."""
    event: list[Row] = []
    for row in rows:
        if event and not _follows(event, row):
            yield event
            event = []
        event.append(row)
    if event:
        yield event


def _follows(event: Sequence[Row], row: Row) -> bool:
    """Whether a row is the next slot of an event: made with it, or barred from what it shows."""
    first = event[0]
    if any(first.values[name] != row.values[name] for name in ("agent", "customer", "actions")):
        return False
    together = bool(first.values["at"] == row.values["at"])
    if row.supplied is None:
        return together and (first.slot, row.slot) == ("1", str(len(event) + 1))
    if not first.slot or row.slot in {"", *(each.slot for each in event)}:
        return False
    shown = {each.values["action"] for each in event}
    return together or shown.issubset(row.supplied["barred"])


def _line(event: Sequence[Row], known: Mapping[str, Features]) -> dict[str, Any]:
    return dsjson_event(event[0], known) if len(event) == 1 else slots_event(event, known)
