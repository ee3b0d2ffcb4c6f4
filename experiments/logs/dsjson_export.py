"""A log as DSJSON, one JSON object a line, as Vowpal Wabbit's own tools read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from agents.errors import LogError
from experiments.logs.importers.base import Features, read_actions
from experiments.logs.importers.dsjson import CHANGED, SLOT
from experiments.logs.importers.nested import nest
from experiments.logs.inspecting import inspect_log
from experiments.logs.read import log_files

_ROWS = 2_000  # as Python objects at a time
Row = Mapping[str, Any]


@dataclass(slots=True)
class Exported:
    """What became of a log's rows.

    Args:
        lines: events written; one of several slots holds a row for each.
        rows: rows in them.
        still_open: rows left out, because an outcome could still arrive.
    """

    lines: int = 0
    rows: int = 0
    still_open: int = 0


def export_dsjson(log: Path, target: Path) -> Exported:
    """Write every closed decision of a log.

    What `actions.json` beside the log knows of an action goes with it; an action that is not
    there has its id as its only feature. Rows that an import took from the slots of one event
    become one event again.

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
            for event in _events(_closed(_rows(log), done)):
                stream.write(orjson.dumps(_line(event, known), option=orjson.OPT_APPEND_NEWLINE))
                done.lines += 1
                done.rows += len(event)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return done


def dsjson_event(row: Row, known: Mapping[str, Features]) -> dict[str, Any]:
    """Return the event of one decision, with the keys in the order of the services' own writer.

    Barred actions are left out, so that a learner does not take them for what could have been
    chosen. `_label_probability` is the propensity times the share of rows that was kept.

    Args:
        row: plain values by column of the log's schema.
        known: content of the actions by id.
    """
    names = _allowed(row)
    probabilities = dict(zip(row["actions"], row["distribution"], strict=True))
    order = _chosen_first(row, names)
    chosen, cost = names.index(row["action"]), _cost(row)
    state = {"_skipLearn": True} if row["given_back"] is not None else {}
    return {
        "_label_cost": cost,
        "_label_probability": row["propensity"] * _kept(row),
        "_label_Action": chosen + 1,
        "_labelIndex": chosen,
        **state,
        "o": _observed(row),
        "Timestamp": _stamp(row["at"]),
        "Version": "1",
        "EventId": row["decision_id"],
        "a": [names.index(name) + 1 for name in order],
        "c": {**_shared(row), "_multi": _contents(row, names, known)},
        "p": [probabilities[name] for name in order],
        "VWState": {"m": row["snapshot"]},
        "_original_label_cost": cost,
    }


def slots_event(rows: Sequence[Row], known: Mapping[str, Features]) -> dict[str, Any]:
    """Return the event whose slots were filled by several decisions, in their order.

    Args:
        rows: decisions of the same request.
        known: content of the actions by id.
    """
    first = rows[0]
    free = {name for row in rows for name in _allowed(row)}
    names = [name for name in first["actions"] if name in free]
    state = {"_skipLearn": True} if first["given_back"] is not None else {}
    dropped = {"pdrop": 1.0 - _kept(first)} if _kept(first) < 1.0 else {}
    slots = [{"_id": row["decision_id"], **_slot(row)} for row in rows]
    return {
        "Timestamp": _stamp(first["at"]),
        "Version": "1",
        **state,
        "c": {**_shared(first), "_multi": _contents(first, names, known), "_slots": slots},
        "_outcomes": [_outcome(row, names) for row in rows],
        "VWState": {"m": first["snapshot"]},
        **dropped,
    }


def _outcome(row: Row, names: Sequence[str]) -> dict[str, Any]:
    probabilities = dict(zip(row["actions"], row["distribution"], strict=True))
    order = _chosen_first(row, _allowed(row))
    return {
        "_label_cost": _cost(row),
        "_id": row["decision_id"],
        "_a": [names.index(name) for name in order],
        "_p": [probabilities[name] for name in order],
        "_o": _observed(row),
        "_original_label_cost": _cost(row),
    }


def _rows(log: Path) -> Iterator[Row]:
    for file in log_files(log):
        with pq.ParquetFile(file) as stream:
            for batch in stream.iter_batches(_ROWS):
                yield from batch.to_pylist()


def _closed(rows: Iterable[Row], done: Exported) -> Iterator[Row]:
    for row in rows:
        if row["closed_at"] is None:
            done.still_open += 1
        else:
            yield row


def _events(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Put neighbouring rows of the same request together: slots 1, 2, 3 of the same customer."""
    event: list[Row] = []
    for row in rows:
        if event and not _follows(event, row):
            yield event
            event = []
        event.append(row)
    if event:
        yield event


def _follows(event: Sequence[Row], row: Row) -> bool:
    first = event[0]
    same = all(first[name] == row[name] for name in ("agent", "customer", "at", "actions"))
    slots = orjson.loads(first["context"])["placement"], orjson.loads(row["context"])["placement"]
    return same and slots == ("1", str(len(event) + 1))


def _line(event: Sequence[Row], known: Mapping[str, Features]) -> dict[str, Any]:
    return dsjson_event(event[0], known) if len(event) == 1 else slots_event(event, known)


def _allowed(row: Row) -> list[str]:
    return [name for name, why in zip(row["actions"], row["mask"], strict=True) if why is None]


def _chosen_first(row: Row, names: Sequence[str]) -> list[str]:
    return [row["action"], *(name for name in names if name != row["action"])]


def _contents(row: Row, names: Sequence[str], known: Mapping[str, Features]) -> list[Features]:
    changed = orjson.loads(_features(row).get(CHANGED) or "{}")
    return [
        changed.get(name) or known.get(name) or {"_tag": name, "i": {"constant": 1, "id": name}}
        for name in names
    ]


def _features(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(row["context"])["features"]
    return found


def _shared(row: Row) -> dict[str, Any]:
    features = _features(row)
    return nest({k: v for k, v in features.items() if k != CHANGED and not k.startswith(SLOT)})


def _slot(row: Row) -> dict[str, Any]:
    features = _features(row)
    return nest({k.removeprefix(SLOT): v for k, v in features.items() if k.startswith(SLOT)})


def _observed(row: Row) -> list[dict[str, Any]]:
    taken = row["given_back"] is None
    return [{"v": row["reward"], "EventId": row["decision_id"], "ActionTaken": taken}]


def _cost(row: Row) -> float:
    return -float(row["reward"])


def _kept(row: Row) -> float:
    kept = row.get("kept")
    return 1.0 if kept is None else float(kept)


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "0Z")
