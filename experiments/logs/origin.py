"""Where rows come from, so that every refusal can name file, row and column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a gathered table came from, so that an error can name the place.

    Args:
        files: names of the files.
        starts: (F,) number of rows in all files before each.
        rows: (N,) for each row of the table, its number among the rows of all files.

    Example:
        >>> Origin(("a", "b"), np.array([0, 3]), np.array([1, 4])).place(1)
        'b, row 1'
    """

    files: tuple[str, ...]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, sizes: dict[str, int]) -> Origin:
        """Number the rows of files, given how many rows each has."""
        starts = np.cumsum([0, *sizes.values()], dtype=np.int64)  # (F + 1,)
        return cls(tuple(sizes), starts[:-1], np.arange(starts[-1]))

    def keep(self, chosen: NDArray[np.bool_]) -> Origin:
        """Follow a selection of rows."""
        return Origin(self.files, self.starts, self.rows[chosen])

    def place(self, row: int) -> str:
        """Name the file and the row in it, counted from 0."""
        number = self.rows[row]
        file = int(np.searchsorted(self.starts, number, side="right")) - 1
        return f"{self.files[file]}, row {number - self.starts[file]}"

    def refuse(self, row: int, column: str, expected: str, got: object) -> NoReturn:
        """Raise a LogError about one value."""
        raise LogError(f"{self.place(row)}: {column}: expected {expected}, got {got!r}")

    def require(
        self, good: NDArray[np.bool_], column: str, expected: str, values: NDArray[Any]
    ) -> None:
        """Refuse the first row that is not good; `good` and `values` are (N,)."""
        if not good.all():
            row = int(np.argmin(good))
            self.refuse(row, column, expected, values[row].item())
