"""CSV and TSV as they are opened: which columns are read, and as what."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from agents.errors import LogError
from experiments.logs.importers.columns import ALL, Columns

_BLOCK = 1_000_000  # bytes at a time
_KINDS = (
    pa.null(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.timestamp("us", "UTC"),
)  # fmt: skip


def open_text(
    file: Path, delimiter: str, kinds: Mapping[str, pa.DataType], *, gaps: bool = False
) -> pa_csv.CSVStreamingReader:
    """Open a file of text to read it in pieces.

    Args:
        file: in UTF-8, with a header.
        delimiter: between columns.
        kinds: type by column; no other column is read. None at all reads all, each as it looks.
        gaps: read what stands for a missing value (such as NA) as null in text too.
    """
    return pa_csv.open_csv(
        file,
        read_options=pa_csv.ReadOptions(block_size=_BLOCK),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict(kinds), include_columns=list(kinds), strings_can_be_null=gaps,
            quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip


def csv_kinds(file: Path, columns: Columns, delimiter: str) -> dict[str, pa.DataType]:
    """Return the columns to read and their types.

    What has a meaning is read as text, so that whatever does not fit is told with its row. A
    feature is what all its rows are: a number that first has decimals far down is one from the
    start.

    Raises:
        LogError: two columns have the same name, or the names are not UTF-8.
    """
    names = _header(file, delimiter)
    used = columns.used()
    features = list(columns.features)
    if features == [ALL]:
        features = [name for name in names if name not in used]
    twice = [name for name in (*used, *features) if names.count(name) > 1]
    if twice:
        raise LogError(f"{file.name}: expected one column {twice[0]!r}, got several of that name")
    kinds = dict.fromkeys((name for name in names if name in used), pa.string())
    open_ones = [name for name in features if name in names and name not in kinds]
    return kinds | _features(file, delimiter, open_ones)


def _header(file: Path, delimiter: str) -> list[str]:
    try:
        return list(open_text(file, delimiter, {}).schema.names)
    except UnicodeDecodeError as error:
        raise LogError(f"{file.name}: expected the columns' names in UTF-8: {error}") from None
    except pa.ArrowInvalid as error:
        if "straddl" in str(error):
            raise LogError(
                f"{file.name}: expected rows of at most {_BLOCK:,} bytes, got a longer one; is a"
                " quote not closed?"
            ) from None
        raise


def _features(file: Path, delimiter: str, names: Collection[str]) -> dict[str, pa.DataType]:
    """Return the narrowest type that fits all rows of each column; reads the file once."""
    left = {name: list(_KINDS) for name in names}
    if not left:
        return {}
    for batch in open_text(file, delimiter, dict.fromkeys(names, pa.string()), gaps=True):
        for name, kinds in left.items():
            while kinds and not _fits(batch[name], kinds[0]):
                kinds.pop(0)
    return {name: kinds[0] if kinds else pa.string() for name, kinds in left.items()}


def _fits(column: pa.Array, kind: pa.DataType) -> bool:
    if pa.types.is_null(kind):
        return bool(column.null_count == len(column))
    try:
        pc.cast(column, kind)
    except pa.ArrowInvalid:
        return False
    return True
