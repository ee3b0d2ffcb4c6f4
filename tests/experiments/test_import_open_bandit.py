"""The Open Bandit Dataset is imported whole, and says of itself what it does not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.errors import LogError
from experiments.logs import from_table, read_log
from experiments.logs.importers.base import FILE, joined, log_file
from experiments.logs.importers.open_bandit import Bandit, bandit_actions, read_open_bandit
from experiments.logs.marks import full_distribution, whole_file
from experiments.targets import uniform_target
from experiments.weights import importance_weights

DATA = Path(__file__).parents[3] / "shared" / "data" / "obd"

HEAD = ",timestamp,item_id,position,click,{p},user_feature_0,user-item_affinity_0\n"
ITEMS = ",item_id,item_feature_0,item_feature_1\n0,0,-0.5,aa\n2,2,0.5,bb\n1,1,0.1,cc\n"


def campaign(folder: Path, rows: list[str], *, p: str = "propensity_score") -> Bandit:
    """Write a tiny campaign as the dataset lays it out."""
    home = folder / "bts" / "men"
    home.mkdir(parents=True)
    (home / "men.csv").write_text(HEAD.format(p=p) + "\n".join(rows) + "\n")
    (home / "item_context.csv").write_text(ITEMS)
    return Bandit(home / "men.csv")


ROWS = [
    "0,2019-11-24 00:01:03.979311+00:00,2,1,0,0.5,young,0.0",
    "1,2019-11-24 00:01:04.000000+00:00,0,3,1,0.2,old,1.0",
]


def test_impressions_become_decisions(tmp_path: Path) -> None:
    table = joined(read_open_bandit(campaign(tmp_path, ROWS)))
    log = from_table(table)
    assert log.actions == ("none", "0", "1", "2")
    np.testing.assert_allclose(log.distribution, [[0, 0.25, 0.25, 0.5], [0, 0.2, 0.4, 0.4]])
    assert log.reward.tolist() == [0.0, 1.0]
    assert log.outcomes.tolist() == [(), ("click",)]
    assert [c["placement"] for c in log.contexts] == ["1", "3"]
    assert log.contexts[1]["features"] == {
        "position": 3, "user_feature_0": "old", "user-item_affinity_0": 1.0,
    }  # fmt: skip
    assert str(log.at[0]) == "2019-11-24T00:01:03.979311"
    assert log.policy.tolist() == ["bts", "bts"]


def test_the_readme_calls_the_propensity_by_another_name(tmp_path: Path) -> None:
    table = joined(read_open_bandit(campaign(tmp_path, ROWS, p="action_prob")))
    assert table["propensity"].to_pylist() == [0.5, 0.2]


def test_items_are_known_by_id_in_any_order_of_rows(tmp_path: Path) -> None:
    found = bandit_actions(campaign(tmp_path, ROWS))
    assert list(found) == ["0", "1", "2"]
    assert found["1"] == {"item_feature_0": 0.1, "item_feature_1": "cc"}


def test_the_file_says_that_only_the_drawn_probability_is_known(tmp_path: Path) -> None:
    target = tmp_path / "log" / FILE
    with log_file(target, whole=False) as part:
        for piece in read_open_bandit(campaign(tmp_path, ROWS)):
            part.write(piece.table)
    assert not whole_file(target)
    assert not full_distribution(pq.read_table(target))
    assert full_distribution(pa.table({"a": [1]}))
    assert len(read_log(target.parent)) == 2
    assert sorted(p.name for p in target.parent.iterdir()) == [FILE]


def test_two_files_have_one_numbering(tmp_path: Path) -> None:
    source = campaign(tmp_path, ROWS)
    pieces = [*read_open_bandit(source), *read_open_bandit(source, start=2)]
    table = joined(pieces)
    assert table["position"].to_pylist() == [0, 1, 2, 3]
    assert len(set(table["decision_id"].to_pylist())) == 4
    assert pieces[1].rows.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,2019-11-24 00:01:03+00:00,3,1,0,0.5,young,0.0",
         r"men.csv, row 1: item_id: expected one of the 3 items of item_context.csv, got 3"),
        ("2,2019-11-24 00:01:03+00:00,,1,0,0.5,young,0.0",
         r"men.csv, row 1: item_id: expected a number, got nothing"),
        ("2,yesterday,1,1,0,0.5,young,0.0", r"expected a CSV of the Open Bandit Dataset: .*"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    source = campaign(tmp_path, [ROWS[0], row])
    with pytest.raises(LogError, match=message):
        list(read_open_bandit(source))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    source = campaign(tmp_path, ROWS)
    source.file.write_text("a,position\n1,2\n")
    with pytest.raises(LogError, match=r"men.csv: expected a column 'timestamp', got none"):
        list(read_open_bandit(source))
    for text in ('{"a": 1}\n', '{"a":1,"b":2}\n{"a":1,"b":2}\n'):
        source.file.write_text(text)
        with pytest.raises(LogError, match=r"men.csv: expected a CSV of the Open Bandit Dataset"):
            list(read_open_bandit(source))
    nowhere = tmp_path / "nope" / "men.csv"
    with pytest.raises(LogError, match=r"^\S*men.csv cannot be read: No such file or directory;"):
        bandit_actions(Bandit(nowhere))
    source = campaign(tmp_path / "again", ROWS)
    source.item_file.unlink()
    message = r"item_context.csv cannot be read: No such file or directory; expected the CSV of the"
    with pytest.raises(LogError, match=message):
        bandit_actions(source)


@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the Open Bandit Dataset is not part of the project: ../shared/data/obd",
)
def test_the_importer_reaches_the_figures_of_the_datasets_own_library() -> None:
    """Computed with the Open Bandit Pipeline 0.5.5 on the sample of 10,000 rows, men, bts."""
    log = from_table(joined(read_open_bandit(Bandit(DATA / "bts" / "men" / "men.csv"))))
    weights = importance_weights(log, uniform_target(log))
    terms = weights * log.reward
    assert float(terms.mean()) == pytest.approx(0.003008626, abs=1e-9)
    assert float(terms.sum() / weights.sum()) == pytest.approx(0.003189423, abs=1e-9)
