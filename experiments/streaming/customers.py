"""The groups of a log larger than memory: totals by customer, a sixty-fourth of them at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from agents.revision import Revision
from experiments.intervals.difference import MeanSample, summed_sample
from experiments.lift.groups import Lift, lift_of
from experiments.lift.metrics import MetricResult, metric_of, watched_outcomes
from experiments.lift.ratio import declared_shares
from experiments.logs.columns import codes, floats
from experiments.logs.contexts import joined
from experiments.logs.read import choose_agent
from experiments.logs.validation import outcome_values
from experiments.reward_models.features import NumberSummary
from experiments.streaming.hashes import hashes
from experiments.streaming.passes import FindAgents, Run, added
from experiments.streaming.reading import WHEN, Reader
from experiments.streaming.source import Batch, Piece, pieces_of
from experiments.streaming.stream import ROWS, in_turn

Floats = NDArray[np.float64]

_PARTS, _GROUP_BITS = 64, np.uint64(2)
_READ = (*WHEN, "customer", "revision", "outcomes", "reward")
_DECISIONS, _REWARD, _VALUE, _EVENTS = range(4)


@dataclass(frozen=True)
class GroupsFound:
    """What the groups of a streamed log earned, as `experiments.lift` tells it in memory."""

    lift: Lift
    metrics: tuple[MetricResult, ...]


def groups_stream(
    path: Path,
    revisions: Mapping[str, Revision],
    *,
    newest: Revision | None = None,
    agent: str | None = None,
    level: float = 0.95,
    rows: int = ROWS,
    run: Run = in_turn,
) -> GroupsFound:
    """Compare the groups of a log that is read in pieces, by the totals of each customer.

    The figures are those of `experiments.lift.lift` and `compare_metrics` to 1e-9. Totals wait in a
    temporary folder, 8 bytes an amount and decision, and are added up a sixty-fourth of the
    customers at a time. A customer is known by 62 bits of a hash: among ten million it happens once
    in 90,000 logs that two are taken for one.

    Args:
        path: a file, or a folder of them.
        revisions: by id, for the shares that were declared.
        newest: the revision whose outcomes are metrics; None for no metrics.
        agent: whose decisions; may be left out if the log holds one agent only.
        level: nominal coverage in (0, 1).
        rows: decisions in memory at a time.
        run: as of `evaluate_stream`.

    Raises:
        LogError: no group has two customers.
    """
    pieces = pieces_of(path, rows)
    chosen = choose_agent(added(run(FindAgents(rows), pieces)).agents if pieces else (), agent)
    watched = watched_outcomes(newest.agent) if newest else {}
    reader = Reader(chosen, tuple(map(str, Group)), rows)
    names: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
        files = _Files(Path(folder), _EVENTS + len(watched))
        for found in run(TakeCustomers(reader, tuple(watched)), pieces):
            files.add(found)
            names |= found.revisions
        sums = added(files.groups())
    samples = sums.samples(_REWARD, _VALUE)
    if not samples:
        raise LogError("expected a group with at least two customers, got none")
    told = lift_of(
        samples, sums.sizes, sums.decisions, sums.moved,
        holdout=declared_shares(names, revisions), level=level,
    )  # fmt: skip
    metrics = []
    if {Group.TREATMENT, Group.CONTROL} <= samples.keys():
        for place, (name, outcome) in enumerate(watched.items(), start=_EVENTS):
            metrics.append(metric_of(name, outcome, sums.samples(place, place), level))
    return GroupsFound(told, tuple(metrics))


@dataclass(frozen=True)
class Totals:
    """What decisions add to their customers.

    Args:
        cells: (n,) number of each customer, and of the group in the last two bits.
        amounts: (K, n) decisions, reward, outcome value, and events of each outcome asked for.
        revisions: that decided.
    """

    cells: NDArray[np.uint64]
    amounts: Floats
    revisions: frozenset[str]

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            np.concatenate([self.cells, other.cells]),
            np.concatenate([self.amounts, other.amounts], axis=1),
            self.revisions | other.revisions,
        )


@dataclass(frozen=True)
class TakeCustomers:
    """Takes the customers of a piece; `outcomes` are the names of those that are counted."""

    reader: Reader
    outcomes: tuple[str, ...]

    def __call__(self, piece: Piece) -> Totals:
        """Return what a piece adds."""
        return added(self._of(batch) for batch in self.reader.batches(piece, _READ))

    def _of(self, batch: Batch) -> Totals:
        table, kept = batch.table, self.reader.kept(batch)  # (n,)
        names, numbers = codes(joined(table["group"]))
        place = {str(group): number for number, group in enumerate(Group)}
        group = np.array([place.get(str(name), 0) for name in (*names, None)], dtype=np.uint64)
        customers = hashes(joined(table["customer"].cast(pa.string())))  # (n,)
        cells = customers >> _GROUP_BITS << _GROUP_BITS | group[numbers]  # (n,)
        amounts = [np.ones(len(table)), floats(table["reward"])]
        amounts += [outcome_values(table, batch.origin), *self._events(table)]
        revisions, used = codes(joined(table["revision"]))
        decided = np.unique(used[kept])
        return Totals(
            cells[kept],
            np.array(amounts)[:, kept],
            frozenset(str(revisions[number]) for number in decided.tolist()),
        )

    def _events(self, table: pa.Table) -> Iterator[Floats]:
        """Yield how often each outcome happened after each decision; (n,)."""
        lists = joined(table["outcomes"])
        counts = np.asarray(pc.list_value_length(lists).fill_null(0))
        owner, given = np.repeat(np.arange(len(lists)), counts), lists.flatten().field("outcome")
        for name in self.outcomes:
            happened = np.asarray(pc.equal(given, name).fill_null(False), dtype=np.float64)
            yield np.bincount(owner, happened, minlength=len(lists)).astype(np.float64)


def _summed(amounts: Floats, place: NDArray[np.intp], size: int) -> Floats:
    """Add up (K, n) amounts by place; (K, size)."""
    rows = [np.bincount(place, row, minlength=size) for row in amounts]
    return np.asarray(rows, dtype=np.float64).reshape(len(amounts), size)


@dataclass(frozen=True)
class Amounts:
    """One amount of the customers of one group."""

    totals: NumberSummary
    sizes: Floats  # (2,) sums of the absolute totals, and of their squares

    @classmethod
    def of(cls, totals: Floats) -> Amounts:
        """Add up (C,) customers' totals."""
        return cls(NumberSummary.of(totals), np.array([np.abs(totals).sum(), totals @ totals]))

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(self.totals + other.totals, self.sizes + other.sizes)


@dataclass(frozen=True)
class GroupSums:
    """What the customers of each group add up to; those of parts of the customers can be added.

    Args:
        groups: (3, K) by group and amount, of those who were seen in one group only.
        seen: (3,) decisions of everybody.
        moved: customers who were seen in more than one group.
    """

    groups: tuple[tuple[Amounts, ...], ...]
    seen: Floats
    moved: int

    @classmethod
    def of(cls, cells: NDArray[np.uint64], amounts: Floats) -> GroupSums:
        """Add up the totals of some customers, all that each of them has; (C,) and (K, C)."""
        own = np.asarray(cells % np.uint64(4), dtype=np.intp)  # (C,)
        _, place, times = np.unique(cells >> _GROUP_BITS, return_inverse=True, return_counts=True)
        stayed = times[place] == 1  # (C,)
        inside = [stayed & (own == number) for number in range(len(Group))]
        return cls(
            tuple(tuple(Amounts.of(row[kept]) for row in amounts) for kept in inside),
            np.bincount(own, amounts[_DECISIONS], minlength=len(Group)).astype(np.float64),
            int(np.count_nonzero(times > 1)),
        )

    def __add__(self, other: GroupSums) -> GroupSums:
        pairs = zip(self.groups, other.groups, strict=True)
        return GroupSums(
            tuple(tuple(map(Amounts.__add__, *pair)) for pair in pairs),
            self.seen + other.seen,
            self.moved + other.moved,
        )

    @property
    def sizes(self) -> dict[Group, int]:
        """Customers of each group."""
        return {g: each[0].totals.known for g, each in zip(Group, self.groups, strict=True)}

    @property
    def decisions(self) -> dict[Group, int]:
        """Decisions of each group."""
        return {group: round(n) for group, n in zip(Group, self.seen.tolist(), strict=True)}

    def samples(self, total: int, outcome: int) -> dict[Group, MeanSample]:
        """Summarise the groups that have two customers by the places of two amounts.

        Args:
            total: what is compared.
            outcome: what conversions are counted by.
        """
        known = {g: each for g, each in zip(Group, self.groups, strict=True) if self.sizes[g] >= 2}
        if not known:
            return {}
        everyone = added(each[total].totals for each in known.values())
        return {
            group: _sample(each[total], each[outcome], _variance(everyone))
            for group, each in known.items()
        }


def _sample(total: Amounts, outcome: Amounts, everyone: float) -> MeanSample:
    size, squares = outcome.sizes.tolist()
    conversions = size**2 / squares if squares > 0.0 else 0.0
    own = total.totals
    return summed_sample(own.known, own.mean, _variance(own), conversions, everyone)


def _variance(found: NumberSummary) -> float:
    return found.apart / (found.known - 1)


class _Files:
    """Totals in files, so that all of a customer are in the same one.

    Args:
        folder: for the files.
        amounts: K.
    """

    def __init__(self, folder: Path, amounts: int) -> None:
        self._kind = np.dtype([("cell", np.uint64), ("amounts", np.float64, (amounts,))])
        self._files = [folder / f"{part}.totals" for part in range(_PARTS)]

    def add(self, found: Totals) -> None:
        """Remember some totals."""
        rows = np.empty(len(found.cells), dtype=self._kind)
        rows["cell"], rows["amounts"] = found.cells, found.amounts.T
        part = (found.cells >> _GROUP_BITS) % np.uint64(_PARTS)  # (C,)
        order = np.argsort(part, kind="stable")
        ends = np.cumsum(np.bincount(part.astype(np.intp), minlength=_PARTS))[:-1]
        for file, own in zip(self._files, np.split(rows[order], ends), strict=True):
            with file.open("ab") as stream:
                stream.write(own.tobytes())

    def groups(self) -> Iterator[GroupSums]:
        """Yield what the customers of each file add up to."""
        for file in self._files:
            rows = np.fromfile(file, dtype=self._kind)
            cells, place = np.unique(rows["cell"], return_inverse=True)
            yield GroupSums.of(cells, _summed(rows["amounts"].T, place, len(cells)))
