"""A log's state of health, before it is read: how much there is, and every row that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found: a file, a row in it counted from 0, and what stands there."""

    file: str
    row: int
    value: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a log.

    Args:
        name: what, in a few words.
        refused: whether the log is not to be used like this; otherwise it is a warning.
        count: rows, or what else is counted.
        first: the first few of them.
    """

    name: str
    refused: bool
    count: int
    first: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """What a log holds and what is wrong with it.

    Args:
        rows: of all files.
        decisions: distinct decision ids.
        agents, groups: rows by name; every group is there, an empty one with 0.
        closed, still_open: rows whose outcomes are all in, and the others.
        given_back: rows whose contact was not made after all.
        actions: distinct ids.
        thinned: rows that stand for others too, which were dropped (`kept` is below 1).
        whole: whether all probabilities were logged, not only the drawn action's.
        findings: refused ones first.
    """

    rows: int
    decisions: int
    agents: Mapping[str, int]
    groups: Mapping[str, int]
    closed: int
    still_open: int
    given_back: int
    actions: int
    thinned: int
    whole: bool
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> tuple[Finding, ...]:
        """The findings for which the log must not be used."""
        return tuple(finding for finding in self.findings if finding.refused)

    def to_record(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def summary_lines(quality: Quality) -> tuple[str, ...]:
    """Say in words how much a log holds."""
    lines = [
        f"{quality.rows:,} rows, {quality.decisions:,} decisions, {quality.actions:,} actions;"
        f" {quality.closed:,} closed, {quality.still_open:,} open",
        f"agents: {_named(quality.agents)}; groups: {_named(quality.groups)}",
    ]
    if quality.given_back:
        lines.append(f"{quality.given_back:,} contacts were not made; they are left out of values")
    if quality.thinned:
        lines.append(f"{quality.thinned:,} rows stand for others too, which the log dropped")
    if not quality.whole:
        lines.append(
            "only the drawn action's probability was logged; the rest is spread evenly, so no"
            " propensity audit is possible"
        )
    return tuple(lines)


def quality_table(quality: Quality) -> Table:
    """Lay out what is wrong with a log: how often, and where first; rows are counted from 0."""
    table = Table(title="What is wrong", title_justify="left", box=box.SIMPLE_HEAD)
    table.pad_edge = False
    for name, side in (("", "left"), ("finding", "left"), ("rows", "right"), ("first", "left")):
        table.add_column(name, justify="right" if side == "right" else "left")
    for finding in quality.findings:
        places = "\n".join(f"{at.file}, row {at.row}: {at.value}" for at in finding.first)
        kind = "error" if finding.refused else "warning"
        table.add_row(kind, Text(finding.name), f"{finding.count:,}", Text(places))
    return table


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
