"""How well a world fits a log: what was compared, how far apart it is, and whether that is far."""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.table import Table

LIMIT = 3.0
"""Standard errors that a figure of the fitted world may be away from the log's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Args:
        name: what it is.
        unit: `%` or `days`.
        target: in the log.
        before: in the world as it was.
        after: in the fitted world, with customers that it was not fitted with.
        error: standard error of the difference of `after` and `target`: the log's, and the
            simulation's.
        fitted: whether a constant was fitted by it; else it is a check.
    """

    name: str
    unit: str
    target: float
    before: float
    after: float
    error: float
    fitted: bool

    @property
    def away(self) -> float:
        """How many standard errors `after` is away from the target."""
        return abs(self.after - self.target) / self.error if self.error else 0.0

    @property
    def within(self) -> bool:
        """Whether that is inside the limit."""
        return self.away <= LIMIT


@dataclass(frozen=True)
class Report:
    """A fit.

    Args:
        rows: the figures.
        notes: what could not be compared or fitted, in words.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every figure is within its limit."""
        return all(row.within for row in self.rows)

    def table(self, title: str) -> Table:
        """Lay it out."""
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("figure")
        for name in ("log", "before", "after", "s.e.", "away", ""):
            table.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            figures = [_shown(v, row.unit) for v in (row.target, row.before, row.after, row.error)]
            verdict = "" if row.within else "too far"
            mark = "" if row.fitted else " (check)"
            table.add_row(f"{row.name}{mark}", *figures, f"{row.away:.1f}", verdict)
        table.caption = "\n".join(
            [
                f"after: other customers than those of the fit; limit: {LIMIT:g} standard errors"
                " of the difference; check: nothing was fitted by it",
                *self.notes,
            ]
        )
        table.caption_justify = "left"
        return table


def _shown(value: float, unit: str) -> str:
    return f"{100.0 * value:.2f} %" if unit == "%" else f"{value:.2f} d"
