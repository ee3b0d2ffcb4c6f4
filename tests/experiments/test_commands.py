"""`nextbest evaluate` answers from a log folder alone, and says what to do when it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from agents.catalog import write_example
from agents.errors import DocumentError, LogError, SnapshotError, UnknownNameError
from agents.revision import Revision
from agents.spec import PolicySpec
from experiments.commands import app
from experiments.tracking import EXPERIMENT, open_tracking
from policies.hybrid import HybridThompson
from policies.snapshot import Manifest, seal

TELECOM = Path(__file__).parents[2] / "agents" / "examples" / "telecom"
KEY = b"k" * 32


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *(str(a) for a in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def snapshot(tmp_path: Path, policy: HybridThompson, revision: Revision) -> Path:
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent="retention", revision=revision.id, position=1, lessons=1
    )
    path = tmp_path / "learned.snapshot"
    path.write_bytes(seal(manifest, state, KEY))
    (tmp_path / "snapshot.key").write_bytes(KEY)
    return path


def test_policies_are_valued_and_groups_compared(folder: Path) -> None:
    asked = [word for name in ("uniform", "none", "logged") for word in ("--policy", name)]
    result = run(folder, *asked, "--force")
    assert result.exit_code == 0
    for text in ("Value in EUR per 1,000 decisions", "uniform", "none", "logged", "snips", "dr",
                 "Propensity audit passed", "20 open decisions left out",
                 "Reward in EUR per 1,000 customers", "Lift in EUR", "control"):  # fmt: skip
        assert text in result.output


def test_an_apprentice_is_compared_with_its_incumbent(
    folder: Path, revision: Revision, tmp_path: Path
) -> None:
    assert "agreed with the incumbent" not in run(folder).output
    spec = {"mode": "apprentice", "incumbent": {"learner": "uniform"}, "floor": 0.0}
    agent = revision.agent.model_copy(update={"policy": PolicySpec.model_validate(spec)})
    beside = Revision(revision.workspace, agent)
    table = pq.read_table(folder / "decisions.parquet")
    revisions = np.where(np.arange(table.num_rows) % 2, revision.id, beside.id).tolist()
    column = table.schema.get_field_index("revision")
    table = table.set_column(column, table.schema.field(column), pa.array(revisions))
    pq.write_table(table, folder / "decisions.parquet")
    (folder / "revisions" / f"{beside.id}.json").write_bytes(beside.source)
    same = []
    for row in table.to_pylist():
        allowed = [i for i, reason in enumerate(row["mask"]) if reason is None]
        if row["revision"] == beside.id and row["group"] == "treatment" and len(allowed) > 1:
            best = max(allowed, key=lambda i: row["expected"][i])
            same.append(row["distribution"][best] == max(row["distribution"]))
    line = f"the learner agreed with the incumbent in {np.mean(same):.0%} of {len(same)} decisions"
    assert 0 < sum(same) < len(same)
    assert line in run(folder).output


@pytest.mark.parametrize("group", ["random", "treatment", "all"])
def test_groups_and_estimators_are_chosen(folder: Path, group: str) -> None:
    result = run(folder / "decisions.parquet", "--group", group, "--estimator", "ips", "--force")
    assert result.exit_code == 0
    assert "ips" in result.output
    assert "snips" not in result.output


def test_a_snapshot_is_valued(folder: Path, snapshot: Path) -> None:
    result = run(folder, "--policy", snapshot, "--key", snapshot.with_name("snapshot.key"))
    assert result.exit_code == 0
    assert "learned" in result.output
    assert "--group random values it" in result.output
    key = snapshot.with_name("snapshot.key")
    unseen = run(folder, "--policy", snapshot, "--key", key, "--group", "random")
    assert "looks too good" not in unseen.output
    assert "looks too good" not in run(folder).output


def test_a_snapshot_needs_its_key(folder: Path, snapshot: Path, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="--key: expected the key file"):
        run(folder, "--policy", snapshot)
    with pytest.raises(SnapshotError, match="cannot be read"):
        run(folder, "--policy", snapshot, "--key", tmp_path / "none.key")
    (tmp_path / "other.key").write_bytes(b"x" * 32)
    with pytest.raises(SnapshotError, match="signed with another key"):
        run(folder, "--policy", snapshot, "--key", tmp_path / "other.key")


def test_a_misspelt_policy_is_refused(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'uniform'"):
        run(folder, "--policy", "unifrom")


def test_a_missing_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no such file"):
        run(tmp_path / "none")


def test_a_log_that_is_all_open_is_refused(folder: Path, table: pa.Table) -> None:
    still_open = table.filter(pc.is_null(table["closed_at"]))
    pq.write_table(still_open, folder / "decisions.parquet")
    with pytest.raises(LogError, match="got none; 20 decisions are open"):
        run(folder)


def test_every_decision_is_re_checked(folder: Path, table: pa.Table) -> None:
    result = run(folder, "--workspace", TELECOM)
    assert result.exit_code == 0
    assert "guardrails re-checked: 0 breaches in 300 rows" in result.output
    forged = pa.array(["control"] * table.num_rows)
    index = table.column_names.index("group")
    rows = table.set_column(index, table.schema.field("group"), forged)
    first = rows.slice(0, 150)
    pq.write_table(pa.concat_tables([first, table.slice(150)]), folder / "decisions.parquet")
    result = run(folder, "--workspace", TELECOM)
    assert result.exit_code == 1
    assert "expected none with probability 1" in result.output


def test_what_the_re_check_could_not_check_is_said(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_example("telecom", other)
    path = other / "agents" / "retention.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("salt: price-change", "salt: another"), encoding="utf-8")
    printed = " ".join(run(folder, "--workspace", other).output.split())
    assert "300 rows were decided by other revisions" in printed
    path.unlink()
    renamed = text.replace("agent: retention", "agent: winback")
    (path.parent / "winback.yaml").write_text(renamed, encoding="utf-8")
    printed = " ".join(run(folder, "--workspace", other).output.split())
    assert "300 rows were not checked" in printed


@pytest.mark.parametrize("name", ["nowhere", "broken"])
def test_a_workspace_is_checked_before_anything_is_computed(
    folder: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "workspace.yaml").write_text("workspace: [")
    with pytest.raises(DocumentError, match=f"{name}/workspace.yaml:1:"):
        run(folder, "--workspace", tmp_path / name)


def test_sizes_are_not_tested_against_shares_that_changed(folder: Path, table: pa.Table) -> None:
    assert "sizes were not checked" not in run(folder).output
    half = np.arange(table.num_rows) % 2 == 0
    ids = np.where(half, table["revision"].to_pylist(), "0" * 16)
    index = table.column_names.index("revision")
    mixed = table.set_column(index, table.schema.field("revision"), pa.array(ids.tolist()))
    pq.write_table(mixed, folder / "decisions.parquet")
    assert "the groups' sizes were not checked" in run(folder).output


def test_what_is_asked_twice_is_answered_once(folder: Path) -> None:
    once = run(folder, "--estimator", "dr").output
    assert run(folder, "--estimator", "dr", "--estimator", "dr").output == once


def test_a_run_is_recorded(folder: Path, runs: Path) -> None:
    result = run(folder, "--track", runs)
    assert result.exit_code == 0
    client = open_tracking(runs)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"


@pytest.mark.parametrize("command", ["evaluate", "lift", "fairness", "what-if", "gate", "quality"])
def test_the_log_is_named_alike_everywhere(command: str) -> None:
    """As every other argument of `nextbest` is."""
    said = CliRunner().invoke(app, [command, "--help"]).output
    assert "[OPTIONS] {log}" in said


def test_help_says_what_it_is_for() -> None:
    assert "Value policies from a decision log alone" in run("--help").output
