"""DSJSON, the logs of Vowpal Wabbit's services and Azure Personalizer: one JSON object a line."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from agents.errors import LogError
from experiments.logs.importers.base import (
    Features,
    Piece,
    context_json,
    fill_table,
    outcome_lists,
    ragged,
)
from experiments.logs.importers.candidates import MOST_ACTIONS, Catalogue, action_names
from experiments.logs.importers.draws import Draw, event_draw, instant, slot_draw
from experiments.logs.importers.nested import flatten

_LINES = 5_000  # at a time
_ITEMS = 500_000  # actions of all of them, at a time
CHANGED = "_multi"  # feature that holds, as JSON, the actions that are not as in the catalogue
SLOT = "slot."  # how the features of a slot begin
_APART = ("_multi", "_slots")


@dataclass(slots=True)
class Counts:
    """What the lines of a DSJSON log were.

    Args:
        read: lines, empty ones left out.
        learnable: events that were shown and have a reward.
        dangling: rewards whose event is not there; they are left out.
        inactive: events marked `_skipLearn`, or deferred and never activated: imported as contacts
            that were not made, so that nothing learns or values them.
        unlabelled: events without a reward: imported as decisions that are still open.
        decisions: rows of the log; an event of several slots has one for each.
        thinned: decisions that stand for more than themselves, as others were dropped.
    """

    read: int = 0
    learnable: int = 0
    dangling: int = 0
    inactive: int = 0
    unlabelled: int = 0
    decisions: int = 0
    thinned: int = 0

    @property
    def skipped(self) -> int:
        """Lines from which nothing is learned: dangling rewards and inactive events."""
        return self.dangling + self.inactive

    def to_record(self) -> dict[str, int]:
        """Return plain values for JSON."""
        return asdict(self) | {"skipped": self.skipped}


@dataclass(slots=True)
class DsjsonLog:
    """Reads DSJSON files as decisions; `counts` and `catalogue` grow while it reads.

    The probabilities of the log are those of `p`, as drawn. `_label_probability` has the share of
    events that were kept (pass probability) multiplied in, and `pdrop` is the share that was
    dropped: both are in the column `kept`, and a row stands for 1 / kept decisions. The reward is
    the negative of `_original_label_cost` where it stands, for `_label_cost` is changed by
    services in apprentice mode. An action that `a` does not list was not to be had: it is barred.

    Args:
        files: in the order of time.
        agent: name for the log.
    """

    files: Sequence[Path]
    agent: str = "dsjson"
    counts: Counts = field(default_factory=Counts)
    catalogue: Catalogue = field(default_factory=Catalogue)

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
                yield Piece(_table(rows, self.agent), file.name, np.array(places))
                rows, places, items = [], [], 0
        if rows:
            yield Piece(_table(rows, self.agent), file.name, np.array(places))

    def _rows(self, line: bytes) -> list[dict[str, Any]]:
        event = _parse(line)
        self.counts.read += 1
        if "c" not in event:
            self._count_dangling(event)
            return []
        content, candidates = _content(event)
        names = action_names(candidates)
        shared = flatten({key: value for key, value in content.items() if key not in _APART})
        changed = self.catalogue.learn(names, candidates)
        if changed:
            shared[CHANGED] = orjson.dumps(changed).decode()
        if "_outcomes" in event:
            draws = _slots(event, content, len(names))
        else:
            draws = [(event_draw(event, len(names)), {})]
        self._count([draw for draw, _ in draws])
        key = str(event.get("EventId") or draws[0][0].name)
        return [self._row(event, draw, {**shared, **extra}, names, key) for draw, extra in draws]

    def _row(
        self, event: Mapping[str, Any], draw: Draw, features: Features, names: list[str], key: str
    ) -> dict[str, Any]:
        position = self.counts.decisions
        self.counts.decisions += 1
        at = instant(event)
        state = event.get("VWState")
        return {
            "position": position, "decision_id": draw.name, "customer": key, "at": at,
            "snapshot": str(state.get("m", "")) if isinstance(state, Mapping) else "",
            "context": context_json(features, draw.placement),
            "actions": names, "mask": draw.mask, "distribution": draw.distribution,
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


def _content(event: Mapping[str, Any]) -> tuple[Features, list[Features]]:
    """Return the context `c`, and the actions in its `_multi`."""
    content = event["c"]
    candidates = content.get("_multi") if isinstance(content, Mapping) else None
    if not isinstance(candidates, list) or not candidates:
        raise LogError("c: expected an object with the actions as `_multi`, got none")
    if len(candidates) > MOST_ACTIONS:
        raise LogError(
            f"c._multi: expected at most {MOST_ACTIONS:,} actions, got {len(candidates):,}"
        )
    if not all(isinstance(candidate, Mapping) for candidate in candidates):
        raise LogError("c._multi: expected one object for each action")
    return content, candidates


def _slots(
    event: Mapping[str, Any], content: Features, actions: int
) -> list[tuple[Draw, dict[str, Any]]]:
    """Return the draw of each slot, and its features as `slot.NAME`."""
    slots, outcomes = content.get("_slots"), event["_outcomes"]
    if not isinstance(slots, list) or not isinstance(outcomes, list) or not slots:
        raise LogError("c._slots: expected a list of slots, and as many `_outcomes`")
    if len(slots) != len(outcomes):
        raise LogError("_outcomes: expected one for each of the `_slots`")
    if not all(isinstance(each, Mapping) for each in (*slots, *outcomes)):
        raise LogError("c._slots, _outcomes: expected lists of objects")
    return [
        (slot_draw(event, outcome, number, actions), _features(slot))
        for number, (slot, outcome) in enumerate(zip(slots, outcomes, strict=True))
    ]


def _features(slot: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in slot.items() if name != "_id"}
    return {f"{SLOT}{name}": value for name, value in flatten(own).items()}


def _table(rows: Sequence[Mapping[str, Any]], agent: str) -> pa.Table:
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
    return fill_table(len(rows), {**arrays, "agent": agent})
