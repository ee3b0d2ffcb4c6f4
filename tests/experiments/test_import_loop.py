"""`nextbest import dsjson --workspace --data`: a loop begins with what its old log teaches."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from agents.commands import init
from agents.errors import LogError, StateError
from experiments import samples
from experiments.logs.importers.base import FILE
from experiments.revisions import read_revisions
from nextbest import app
from policies.base import Policy
from policies.registry import create_policy, load_policy
from policies.snapshot import Manifest
from policies.teaching.warm import learn_lessons
from serving.learning.history import read_lessons
from serving.learning.snapshots import SnapshotFolder
from serving.settings import load_keys

SAMPLE = Path(samples.__file__).parent / "drinks.dsjson"
SHOP = SAMPLE.with_name("shop.dsjson")
SHARED = Path(__file__).parents[3] / "shared" / "data" / "dsjson"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    init(tmp_path / "bar", example="personalizer")
    return tmp_path / "bar"


def words(workspace: Path, *files: Path) -> tuple[object, ...]:
    return ("import", "dsjson", *files, "--agent", "drinks", "--workspace", workspace)


def snapshot(data: Path, workspace: Path) -> tuple[Manifest, Policy]:
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    manifest, state = folder.read("drinks", folder.names("drinks")[-1])
    (revision,) = read_revisions(workspace).values()
    return manifest, load_policy(manifest.policy, state, revision)


def test_a_loop_begins_with_its_old_log(workspace: Path, tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    done = run(*words(workspace, SAMPLE), "--data", data, "--to", log)
    assert done.exit_code == 0, done.output
    assert "drinks: 255 of 275 cooked lines learnable, 20 skipped" in done.output
    assert "255 lessons learned" in done.output
    assert sorted(each.name for each in log.iterdir()) == [FILE, "revisions"]
    manifest, policy = snapshot(data, log)
    assert (manifest.policy, manifest.lessons, manifest.position) == ("vw_rank", 255, 0)
    ((name, revision),) = read_revisions(log).items()
    assert manifest.revision == name
    taught = create_policy(revision)
    assert learn_lessons(taught, read_lessons(log, revision)).lessons == 255
    assert policy.to_bytes() == taught.to_bytes()
    assert policy.to_bytes() != create_policy(revision).to_bytes()


def test_it_is_taught_once(workspace: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = run(*words(workspace, SAMPLE), "--data", data, "--json")
    assert first.exit_code == 0, first.output
    assert orjson.loads(first.stdout)["counts"]["learnable"] == 255
    assert "written to" not in first.output  # there is no log to be looked at
    again = run(*words(workspace, SAMPLE), "--data", data)
    assert isinstance(again.exception, StateError)
    assert "has learned already" in str(again.exception)


def test_dropped_events_count_for_those_that_were_kept(workspace: Path, tmp_path: Path) -> None:
    line = orjson.loads(SAMPLE.read_bytes().splitlines()[0])
    (tmp_path / "one.dsjson").write_bytes(orjson.dumps({**line, "pdrop": 0.75}))
    done = run(*words(workspace, tmp_path / "one.dsjson"), "--to", tmp_path / "log")
    assert done.exit_code == 0, done.output
    (revision,) = read_revisions(tmp_path / "log").values()
    (lesson,) = read_lessons(tmp_path / "log", revision)
    assert [(each.weight, each.value) for each in lesson.labels] == [(4.0, 1.0)]


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the samples are not part of the project: ../shared/data/dsjson"
)
@pytest.mark.parametrize(
    ("name", "said", "lessons"),
    [
        ("cookedlogs.json", "10 of 20 cooked lines learnable, 10 skipped", 30),  # of three slots
        ("learnablelogs.json", "10 of 10 cooked lines learnable, 0 skipped", 30),
        ("dsjson_cb.json", "23 of 23 cooked lines learnable, 0 skipped", 23),
    ],
)
def test_the_samples_teach(
    name: str, said: str, lessons: int, workspace: Path, tmp_path: Path
) -> None:
    done = run(*words(workspace, SHARED / name), "--data", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert f"drinks: {said}" in done.output
    assert f"{lessons} lessons learned" in done.output


def test_what_teaches_nothing_is_refused(workspace: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.dsjson"
    gone.write_bytes(b'{"RewardValue":1,"EventId":"x"}')
    none = run(*words(workspace, gone), "--data", tmp_path / "data", "--force")
    assert "neither --check nor --force" in str(none.exception)
    empty = run(*words(workspace, gone), "--data", tmp_path / "data")
    assert (empty.exit_code, "no rows" in empty.output) == (1, True)
    named = run(*words(workspace, SHOP), "--data", tmp_path / "data")
    assert isinstance(named.exception, LogError)
    assert "row 0: expected a loop's decision: actions: the id 'none' is taken" in str(
        named.exception
    )
    alone = run("import", "dsjson", SAMPLE, "--data", tmp_path / "data")
    assert "--data: expected --workspace too" in str(alone.exception)
    assert not (tmp_path / "data" / "snapshots" / "drinks").exists()


def test_a_mode_that_learns_nothing_says_so(workspace: Path, tmp_path: Path) -> None:
    file = workspace / "agents" / "drinks.yaml"
    idle = "  floor: 0.2\n  mode: logging\n  incumbent: {learner: first}\n"
    text = "\n".join(
        idle.rstrip() if line.strip().startswith("floor:") else line
        for line in file.read_text().splitlines()
    )
    file.write_text(text)
    done = run(*words(workspace, SAMPLE), "--data", tmp_path / "data")
    assert isinstance(done.exception, StateError)
    assert str(done.exception) == "drinks: mode: logging learns nothing from a log"


def test_its_log_is_looked_at_and_valued(workspace: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run(*words(workspace, SAMPLE), "--to", log).exit_code == 0
    assert run("quality", log).exit_code == 0
    asked = ("--policy", "first", "--policy", "vw_rank", "--policy", "uniform")
    valued = run("evaluate", log, *asked, "--by", "FromUrl.time", "--at-once", "--json")
    found = orjson.loads(valued.stdout)
    assert [each["policy"] for each in found["evaluations"]] == ["first", "vw_rank", "uniform"]
    assert found["currency"] == "EUR"
    times = {part["segment"] for each in found["segments"] for part in each["segments"]}
    assert times == {"morning", "noon", "evening"}
    parts = run("evaluate", log, "--parts")
    assert isinstance(parts.exception, LogError)
    assert "--parts: expected a log of declared offers and channels" in str(parts.exception)
    out = run("export-dsjson", log, "--to", tmp_path / "out.dsjson")
    assert "263 events of 263 decisions" in out.output
