"""DSJSON, the logs of Vowpal Wabbit's services and Azure Personalizer: one JSON object a line."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from agents.errors import LogError
from agents.mask import ALWAYS_ACT
from agents.supplied import NONE_ID, Supplied
from experiments.logs.importers.base import (
    Features,
    Piece,
    context_json,
    fill_table,
    outcome_lists,
    ragged,
)
from experiments.logs.importers.candidates import MOST_OFFERED, action_names, too_many, too_wide
from experiments.logs.importers.counts import Counts
from experiments.logs.importers.draws import Draw, event_draw, instant, slot_draw
from experiments.logs.importers.loops import Loop, Told
from experiments.logs.layout import MOST_LISTED

_LINES = 5_000  # at a time
_ITEMS = 500_000  # actions of all of them, at a time
SLOT = "slot"  # what the features of a slot are called in the content of its own decision
ID = "_id"  # of a slot


@dataclass(slots=True)
class DsjsonLog:
    """Reads DSJSON files as decisions of a loop; `counts` grow while it reads.

    Each row has its actions with it, as those of a live loop have: their features and those of the
    moment as they stand in `c`. `none` is barred, as where an agent always acts, but in lines that
    list an action of that name, such as those exported from an agent that may do nothing.

    The probabilities of the log are those of `p`, as drawn. `_label_probability` has the share of
    events that were kept (pass probability) multiplied in, and `pdrop` is the share that was
    dropped: both are in the column `kept`, and a row stands for 1 / kept decisions. The reward is
    the negative of `_original_label_cost` where it stands, for `_label_cost` is changed by
    services in apprentice mode. An action that `a` does not list was not to be had: it is barred.

    Args:
        files: in the order of time.
        agent: name for the log.
        loop: of a workspace, under whose revision what is read counts as decided.
    """

    files: Sequence[Path]
    agent: str = "dsjson"
    loop: Loop | None = None
    counts: Counts = field(default_factory=Counts)
    _known: set[str] = field(default_factory=set)

    def pieces(self) -> Iterator[Piece]:
        """Read the files, some thousand lines at a time.

        Raises:
            LogError: a line is no such event; names file and row, counted from 0.
        """
        for file in self.files:
            yield from self._pieces(file)

    def _pieces(self, file: Path) -> Iterator[Piece]:
        rows: list[dict[str, Any]] = []
        places: list[int] = []
        items = 0
        for number, line in _lines(file):
            try:
                found = self._rows(line)
            except LogError as error:
                raise LogError(f"{file.name}, row {number}: {error}") from None
            rows += found
            places += [number] * len(found)
            items += sum(len(row["actions"]) for row in found)
            if len(rows) >= _LINES or items >= _ITEMS:
                yield self._piece(rows, file, places)
                rows, places, items = [], [], 0
        if rows:
            yield self._piece(rows, file, places)

    def _piece(self, rows: Sequence[Mapping[str, Any]], file: Path, places: list[int]) -> Piece:
        revision = "" if self.loop is None else self.loop.revision.id
        table = _table(rows, agent=self.agent, revision=revision)
        return Piece(table, file.name, np.array(places))

    def _rows(self, line: bytes) -> list[dict[str, Any]]:
        event = _parse(line)
        self.counts.read += 1
        if "c" not in event:
            self._count_dangling(event)
            return []
        content, candidates = _content(event)
        told = Told() if self.loop is None else self.loop.told(content)
        names = action_names(candidates)
        self._known.update(names)
        if len(self._known) > MOST_LISTED:
            raise LogError(too_many(len(self._known), names[-1]))
        if "_outcomes" in event:
            draws = _slots(event, content, len(names))
        else:
            draws = [(event_draw(event, len(names)), content)]
        self._count([draw for draw, _ in draws])
        if not told.customer:
            told = told._replace(customer=str(event.get("EventId") or draws[0][0].name))
        return [self._row(event, draw, own, names, told) for draw, own in draws]

    def _row(
        self, event: Mapping[str, Any], draw: Draw, content: Features, names: list[str], told: Told
    ) -> dict[str, Any]:
        position = self.counts.decisions
        self.counts.decisions += 1
        at = instant(event)
        state = event.get("VWState")
        offered = list(zip(names, draw.mask, draw.distribution, strict=True))
        barred = {name: why for name, why, _ in offered if why is not None}
        supplied = Supplied(tuple(names), _written(content), barred, draw.placement)
        if NONE_ID not in names:
            offered.insert(0, (NONE_ID, ALWAYS_ACT, 0.0))
        return {
            "position": position, "decision_id": draw.name, "customer": told.customer, "at": at,
            "snapshot": str(state.get("m", "")) if isinstance(state, Mapping) else "",
            "context": context_json(told.features, draw.placement, supplied),
            "actions": [name for name, _, _ in offered], "mask": [why for _, why, _ in offered],
            "distribution": [p for _, _, p in offered],
            "action": names[draw.chosen], "propensity": draw.distribution[draw.chosen],
            "reward": draw.reward or 0.0, "closed_at": at if draw.reward is not None else None,
            "given_back": position if draw.skipped else None,
            "kept": draw.kept if draw.kept < 1.0 else None,
        }  # fmt: skip

    def _count_dangling(self, event: Mapping[str, Any]) -> None:
        if "RewardValue" not in event:
            raise LogError(
                "expected an event with a context `c`, or a dangling reward with `RewardValue`,"
                f" got an object of {', '.join(event)[:80] or 'nothing'}"
            )
        self.counts.dangling += 1

    def _count(self, draws: Sequence[Draw]) -> None:
        self.counts.thinned += sum(draw.kept < 1.0 for draw in draws)
        if draws[0].skipped:
            self.counts.inactive += 1
        elif all(draw.reward is None for draw in draws):
            self.counts.unlabelled += 1
        else:
            self.counts.learnable += 1


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream):
                text = line.strip() if number else line.removeprefix(BOM_UTF8).strip()
                if text:
                    yield number, text
    except OSError as error:
        raise LogError(f"{file}: expected a DSJSON file: {error.strerror}") from None


def _parse(line: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LogError(f"expected JSON: {error}") from None
    if not isinstance(event, dict):
        raise LogError(f"expected a JSON object, got {line[:40]!r}")
    return event


def _content(event: Mapping[str, Any]) -> tuple[dict[str, Any], list[Features]]:
    """Return the context `c`, and the actions in its `_multi`."""
    content = event["c"]
    candidates = content.get("_multi") if isinstance(content, Mapping) else None
    if not isinstance(candidates, list) or not candidates:
        raise LogError("c: expected an object with the actions as `_multi`, got none")
    if len(candidates) > MOST_OFFERED:
        raise LogError(too_wide(len(candidates), "c._multi"))
    if not all(isinstance(candidate, Mapping) for candidate in candidates):
        raise LogError("c._multi: expected one object for each action")
    return dict(content), candidates


def _written(content: Features) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError as error:
        raise LogError(f"c: expected features that can be kept as JSON: {error}") from None


def _slots(
    event: Mapping[str, Any], content: Features, actions: int
) -> list[tuple[Draw, Features]]:
    """Return the draw of each slot, and the content of its decision, with its own features."""
    slots, outcomes = content.get("_slots"), event["_outcomes"]
    if not isinstance(slots, list) or not isinstance(outcomes, list) or not slots:
        raise LogError("c._slots: expected a list of slots, and as many `_outcomes`")
    if len(slots) != len(outcomes):
        raise LogError("_outcomes: expected one for each of the `_slots`")
    if not all(isinstance(each, Mapping) for each in (*slots, *outcomes)):
        raise LogError("c._slots, _outcomes: expected lists of objects")
    shared = {name: value for name, value in content.items() if name != "_slots"}
    if SLOT in shared:
        raise LogError(f"c.{SLOT}: expected another name, as the features of a slot have this one")
    return [
        (slot_draw(event, outcome, number, actions), _with_slot(shared, slot))
        for number, (slot, outcome) in enumerate(zip(slots, outcomes, strict=True))
    ]


def _with_slot(shared: Features, slot: Features) -> Features:
    """Put the features of a slot beside those of the moment, as a live loop has them."""
    own: Any = {name: value for name, value in slot.items() if name != ID}
    if own.keys() == {SLOT} and isinstance(own[SLOT], list):
        own = own[SLOT]  # as this project exports them
    return shared if own == {} else {**shared, SLOT: own}


def _table(rows: Sequence[Mapping[str, Any]], **same: str) -> pa.Table:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    lengths = np.array([len(names) for names in columns["actions"]])
    for name, kind in (("actions", pa.string()), ("mask", pa.string()),
                       ("distribution", pa.float64())):  # fmt: skip
        items = [item for values in columns.pop(name) for item in values]
        columns[name] = ragged(lengths, pa.array(items, kind))
    arrays = {
        name: value if isinstance(value, pa.Array) else pa.array(value)
        for name, value in columns.items()
    }
    rewards = np.array(columns["reward"], dtype=np.float64)
    arrays["outcomes"] = outcome_lists(rewards, arrays["at"])
    return fill_table(len(rows), {**arrays, **same})
