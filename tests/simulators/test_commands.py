from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import agents
from agents.checker import check_log
from agents.errors import ContextError, DocumentError, StateError, UnknownNameError
from agents.load import load_workspace
from simulators.commands import app
from simulators.worlds import WORLDS, default_world

EXAMPLE = Path(agents.__file__).parent / "examples" / "telecom"


def simulate(*options: str) -> str:
    size = () if "--days" in options else ("--rounds", "2")
    words = ["simulate", "--workspace", str(EXAMPLE), "--customers", "60", *size, *options]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_shows_what_each_group_earned_beside_the_truth() -> None:
    printed = simulate()
    assert "Reward in EUR per 1,000 customers" in printed
    for words in ("treatment", "random", "control", "hybrid_thompson", "uniform", "truth"):
        assert words in printed


def test_the_seed_fixes_the_figures() -> None:
    assert simulate("--seed", "4") == simulate("--seed", "4") != simulate("--seed", "5")


def test_another_learner_may_take_over(tmp_path: Path) -> None:
    printed = simulate("--policy", "uniform", "--log", str(tmp_path / "log"))
    assert "hybrid_thompson" not in printed
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    assert set(table["policy"].to_pylist()) == {"uniform"}
    (revision,) = set(table["revision"].to_pylist())
    assert (tmp_path / "log" / "revisions" / f"{revision}.json").is_file()


def test_the_log_is_written(tmp_path: Path) -> None:
    printed = simulate("--log", str(tmp_path / "log"))
    assert "wrote 120 decisions to" in printed
    assert pq.read_table(tmp_path / "log" / "decisions.parquet").num_rows == 120


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (("--agent", "retentoin"), UnknownNameError, "did you mean 'retention'"),
        (
            ("--world", "mars"),
            UnknownNameError,
            "there is no world 'mars'; use one of: airline, bank",
        ),
        (("--policy", "unifrom"), UnknownNameError, "did you mean 'uniform'"),
        (("--workspace", "nowhere"), DocumentError, "there is no such file"),
    ],
)
def test_mistakes_are_named(options: tuple[str, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        simulate(*options)


def test_a_log_that_cannot_be_written_is_said_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.commands.rollout", None)  # nothing may be simulated before
    (tmp_path / "file").write_text("")
    (tmp_path / "log" / "decisions.parquet").mkdir(parents=True)
    for place in ("file", "file/log", "log"):
        with pytest.raises(StateError, match=r"^--log: .* cannot be written"):
            simulate("--log", str(tmp_path / place))


@pytest.mark.parametrize(
    ("option", "number"), [("--customers", 10**17), ("--rounds", 10**6), ("--rounds", 60_000)]
)
def test_a_market_that_no_machine_can_hold_is_refused(option: str, number: int) -> None:
    with pytest.raises(ValueError, match="expected at most 10,000,000 decisions that end before"):
        simulate(option, str(number))


def agents_of_examples() -> list[tuple[str, str]]:
    folders = sorted((EXAMPLE.parent).glob("*/agents/*.yaml"))
    return [
        (file.parent.parent.name, file.stem)
        for file in folders
        if "\nsupplied:" not in file.read_text("utf-8")
    ]


def test_an_agent_with_supplied_actions_has_no_market() -> None:
    folder = str(EXAMPLE.parent / "personalizer")
    with pytest.raises(ContextError, match=r"'drinks' .* ask POST /loops/drinks/personalizer"):
        simulate("--workspace", folder)


@pytest.mark.parametrize(("example", "agent"), agents_of_examples())
def test_every_example_has_its_market_without_naming_it(
    example: str, agent: str, tmp_path: Path
) -> None:
    folder, log = str(EXAMPLE.parent / example), str(tmp_path / "log")
    printed = simulate("--workspace", folder, "--agent", agent, "--log", log)
    revision = load_workspace(EXAMPLE.parent / example).revisions[agent]
    world = default_world(revision)
    assert world == "generic" or WORLDS[world].made_for[0] == example
    assert f"per 1,000 customers, agent {agent}, world {world}" in " ".join(printed.split())
    assert "treatment" in printed
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    assert not list(check_log(table, EXAMPLE.parent / example))


def test_the_only_agent_needs_no_name_and_one_of_several_does() -> None:
    assert "agent conversion," in simulate("--workspace", str(EXAMPLE.parent / "retailer"))
    with pytest.raises(UnknownNameError, match="^expected --agent, one of: fraud_alert, savings$"):
        simulate("--workspace", str(EXAMPLE.parent / "bank"))


def test_any_market_that_fits_may_be_chosen() -> None:
    assert "world generic" in simulate("--world", "generic")
    with pytest.raises(ValueError, match="^the world 'retention' does not fit agent 'savings'"):
        simulate(
            "--workspace", str(EXAMPLE.parent / "bank"), "--agent", "savings",
            "--world", "retention",
        )  # fmt: skip


def test_a_market_lasts_as_many_days_as_one_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    printed = simulate("--world", "telecom", "--days", "15", "--every", "5d", "--log", str(log))
    assert "wrote 180 decisions to" in printed  # three rounds of 60
    with pytest.raises(ValueError, match="^expected rounds or days, got both, 2 and 14$"):
        simulate("--days", "14", "--rounds", "2")
    with pytest.raises(ValueError, match="expected a positive duration such as"):
        simulate("--every", "soon")


def test_a_world_brings_its_own_agent_where_there_is_no_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["simulate", "--world", "bank", "--customers", "20", "--rounds", "1"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "agent savings, world bank" in result.output
    with pytest.raises(DocumentError, match="there is no such file"):
        CliRunner().invoke(app, ["simulate"], catch_exceptions=False)
