"""From files of other systems to a log that is valued, on the command line."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from agents.errors import LogError
from experiments import samples
from experiments.logs.importers.base import ACTIONS_FILE, FILE
from nextbest import app

HERE = Path(samples.__file__).parent


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})


def table_words(to: Path, *more: object) -> tuple[object, ...]:
    columns = HERE / "columns.yaml"
    return ("import", "table", HERE / "shop.csv", "--columns", columns, "--to", to, *more)


def test_a_table_is_imported_and_valued_without_revisions(tmp_path: Path) -> None:
    done = run(*table_words(tmp_path / "log", "--agent", "shop"))
    assert done.exit_code == 0, done.output
    assert "1,500 rows, 1,500 decisions, 5 actions" in done.output
    assert "nothing is wrong with it" in done.output
    assert [p.name for p in (tmp_path / "log").iterdir()] == [FILE]
    valued = run("evaluate", tmp_path / "log", "--policy", "uniform", "--policy", "logged")
    assert valued.exit_code == 0, valued.output
    assert "uniform" in valued.output
    assert "logged" in valued.output


def test_a_log_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    assert run(*table_words(tmp_path / "log")).exit_code == 0
    before = (tmp_path / "log" / FILE).read_bytes()
    again = run(*table_words(tmp_path / "log"))
    assert isinstance(again.exception, LogError)
    assert "add --replace" in str(again.exception)
    assert (tmp_path / "log" / FILE).read_bytes() == before
    assert run(*table_words(tmp_path / "log", "--replace")).exit_code == 0
    assert (tmp_path / "log" / FILE).read_bytes() != before  # customers are named anew


def test_with_the_same_key_an_import_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"a secret of 22 bytes..")
    for name in ("a", "b"):
        assert run(*table_words(tmp_path / name, "--key", tmp_path / "key")).exit_code == 0
    first, second = (pq.read_table(tmp_path / name / FILE) for name in ("a", "b"))
    assert first.equals(second)
    missing = run(*table_words(tmp_path / "c", "--key", tmp_path / "gone"))
    assert "--key:" in str(missing.exception)


def broken(folder: Path) -> tuple[Path, Path]:
    """Write a table of three rows, of which one has a propensity of 0."""
    file, columns = folder / "bad.csv", folder / "bad.yaml"
    table = pa.table({"a": ["x", "y", "x"], "p": [0.5, 0.0, 0.5], "r": [0.0, 1.0, 2.0]})
    pa_csv.write_csv(table, file)
    columns.write_text("action: a\npropensity: p\nreward: r\n")
    return file, columns


def test_a_log_with_errors_is_shown_and_not_written(tmp_path: Path) -> None:
    file, columns = broken(tmp_path)
    words = ("import", "table", file, "--columns", columns, "--to", tmp_path / "log")
    done = run(*words)
    assert done.exit_code == 1
    assert "propensity of 0" in done.output
    assert "bad.csv, row 1: 0.0" in done.output
    assert "not written" in done.output
    assert list((tmp_path / "log").iterdir()) == []
    forced = run(*words, "--force")
    assert forced.exit_code == 0, forced.output
    refused = run("evaluate", tmp_path / "log")
    assert isinstance(refused.exception, LogError)
    assert f"{FILE}, row 1: propensity: expected a probability above 0" in str(refused.exception)
    looked = run("quality", tmp_path / "log", "--json")
    assert looked.exit_code == 1
    first = orjson.loads(looked.stdout)["quality"]["findings"][0]
    assert (first["name"], first["first"][0]["row"]) == ("propensity of 0", 1)


def test_check_looks_and_writes_nothing(tmp_path: Path) -> None:
    file, columns = broken(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = run("import", "table", file, "--columns", columns, "--check")
    assert (done.exit_code, "propensity of 0" in done.output) == (1, True)
    good = run("import", "dsjson", HERE / "shop.dsjson", "--check", "--json")
    assert good.exit_code == 0, good.output
    found = orjson.loads(good.stdout)
    assert found["counts"]["learnable"] == found["quality"]["rows"] == 250
    assert sorted(tmp_path.iterdir()) == before
    neither = run("import", "dsjson", HERE / "shop.dsjson")
    assert "expected --to FOLDER" in str(neither.exception)


def test_dsjson_goes_in_and_out_again(tmp_path: Path) -> None:
    shop = HERE / "shop.dsjson"
    assert run("import", "dsjson", shop, "--to", tmp_path / "log", "--agent", "shop").exit_code == 0
    assert pq.read_table(tmp_path / "log" / FILE)["agent"].unique().to_pylist() == ["shop"]
    out = run("export-dsjson", tmp_path / "log", "--to", tmp_path / "out.dsjson")
    assert "250 events of 250 decisions" in out.output
    assert (tmp_path / "out.dsjson").read_bytes() == shop.read_bytes()
    again = run("export-dsjson", tmp_path / "log", "--to", tmp_path / "out.dsjson")
    assert "add --replace" in str(again.exception)


def test_the_open_bandit_dataset_is_imported(tmp_path: Path) -> None:
    home = tmp_path / "bts" / "men"
    home.mkdir(parents=True)
    (home / "item_context.csv").write_text(",item_id,f\n0,0,1\n1,1,2\n")
    rows = [f"{k},2019-11-24 00:0{k}:00+00:00,{k % 2},1,0,0.5" for k in range(4)]
    head = ",timestamp,item_id,position,click,propensity_score"
    (home / "men.csv").write_text("\n".join([head, *rows]) + "\n")
    done = run("import", "obd", home / "men.csv", "--to", tmp_path / "log")
    assert done.exit_code == 0, done.output
    assert "only the drawn action's probability was logged" in done.output
    actions = orjson.loads((tmp_path / "log" / ACTIONS_FILE).read_bytes())
    assert actions == {"0": {"f": 1}, "1": {"f": 2}}
    looked = run("quality", tmp_path / "log")
    assert "only the drawn action's probability was logged" in looked.output


@pytest.mark.parametrize("command", ["obd", "dsjson", "table"])
def test_help_says_what_it_is_for(command: str) -> None:
    assert "Import" in run("import", command, "--help").output


def test_a_folder_or_key_that_would_do_harm_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"")
    out = run(*table_words(tmp_path / "a", "--key", tmp_path / "key"))
    assert "expected at least 16 bytes" in str(out.exception)
    assert isinstance(run(*table_words(tmp_path / "key")).exception, LogError)  # a file, no folder
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "other.parquet").touch()
    assert "holds other.parquet" in str(run(*table_words(tmp_path / "b")).exception)


def test_a_file_is_read_once_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    file, columns = tmp_path / "log.csv", tmp_path / "c.yaml"
    file.write_text("offer,p,margin\n")
    columns.write_text("action: offer\npropensity: p\nreward: margin\n")
    words = ("--columns", columns, "--to", tmp_path / "out")
    assert "named twice" in str(run("import", "table", file, file, *words).exception)
    assert run("import", "table", file, *words).exit_code == 1
    assert not (tmp_path / "out" / FILE).exists()
