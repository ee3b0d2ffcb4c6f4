"""A log of which only the drawn action's probability is known says so after it was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.logs import from_table, read_log
from experiments.logs.marks import marked


@pytest.mark.parametrize("whole", [True, False])
def test_the_mark_of_a_file_is_read(table: pa.Table, tmp_path: Path, whole: bool) -> None:
    stamped = table.replace_schema_metadata(marked(table.schema, whole=whole).metadata)
    assert from_table(stamped).whole == whole
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_log(tmp_path).whole
    names = pa.array([f"other{i}" for i in range(len(table))])
    place = table.schema.get_field_index("decision_id")
    other = stamped.set_column(place, table.schema.field(place), names)
    pq.write_table(other, tmp_path / "b.parquet")
    log = read_log(tmp_path)
    assert log.whole == whole  # one file of two is enough
    assert log.where(np.arange(len(log)) < 5).whole == whole
