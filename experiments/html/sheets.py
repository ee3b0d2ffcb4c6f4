"""Tables of the terminal as tables of a page: one layout, in two places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, and whether it is a number, which stands at the right."""

    text: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of a page.

    Args:
        title: what it tells, with the unit.
        headers: of the columns.
        rows: of cells, the first of which names the row.
    """

    title: str
    headers: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]


def sheet_of(table: Table) -> Sheet:
    """Return what a table of the terminal says.

    Args:
        table: whose cells are texts, without markup.

    Example:
        >>> table = Table("group", title="Lift")
        >>> table.add_column("value", justify="right")
        >>> table.add_row("treatment", "+5")
        >>> sheet_of(table).rows
        ((Cell(text='treatment', number=False), Cell(text='+5', number=True)),)
    """
    numbers = [column.justify == "right" for column in table.columns]
    rows = zip(*(column.cells for column in table.columns), strict=True)
    return Sheet(
        str(table.title or ""),
        _cells([str(column.header) for column in table.columns], numbers),
        tuple(_cells([_plain(cell) for cell in row], numbers) for row in rows),
    )


def _cells(texts: Sequence[str], numbers: Sequence[bool]) -> tuple[Cell, ...]:
    return tuple(Cell(*pair) for pair in zip(texts, numbers, strict=True))


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
