"""What-if: counts against a recount by hand, values and intervals against known truth."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from agents.decisions import read_context
from agents.errors import LogError, SnapshotError, StateError, UnknownNameError
from agents.revision import Revision
from agents.units import parse_instant
from experiments.diagnostics import STEADY, GapDrift
from experiments.logs import LoggedDecisions
from experiments.paired import paired
from experiments.training import sealed
from experiments.what_if.asked import Answer, Question, what_if
from experiments.what_if.change import Change, in_words
from experiments.what_if.loosened import loosen
from experiments.what_if.reading import read_rows
from experiments.what_if.report import reasons, record, tables
from experiments.what_if.rerun import rerun
from experiments.what_if.rows import Rows
from experiments.what_if.second import second_opinion
from experiments.what_if.tightened import policies_of, tighten
from nextbest import app
from policies.hybrid import HybridThompson
from policies.uniform import Uniform
from simulators.results import Rollout
from simulators.rollout import rollout
from simulators.worlds import create_world

ROOT = Path(__file__).parents[2]
TIGHTER = Change(guardrails=("channel_limit.max=1", "contact_limit.max=1"))


@pytest.fixture(scope="module")
def run(revision: Revision) -> Rollout:
    """Uniform decisions about 500 simulated customers, with the truth of every action."""
    return rollout(create_world("telecom", revision, customers=500, rounds=4), Uniform())


@pytest.fixture(scope="module")
def log(run: Rollout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("what_if") / "log"
    run.write(folder, b"k")
    return folder


@pytest.fixture(scope="module")
def rows(log: Path) -> Rows:
    return read_rows(log)


@pytest.fixture(scope="module")
def answer(rows: Rows) -> Answer:
    return what_if(rows, TIGHTER, Question(by="plan"))


def by_hand(rows: Rows, revision: Revision) -> NDArray[np.bool_]:
    """Make every mask anew, as a server would; (N, A)."""
    masks = []
    for row in range(len(rows)):
        at = parse_instant(f"{rows.log.at[row]}+00:00")
        context = read_context(rows.log.contexts[row], customer="anybody", at=at)
        masks.append(revision.mask(context).allowed)
    return np.array(masks)


@pytest.mark.parametrize(
    "change",
    [
        TIGHTER,
        Change(drops=("offer_pause",)),
        Change(settings=('workspace.channels.sms.quiet_hours.from="12:00"',)),
    ],
)
def test_counts_equal_a_recount(rows: Rows, change: Change) -> None:
    after = change.apply(rows.revision)
    answer = what_if(rows, change, Question(prices=False))
    old, new = rows.allowed, by_hand(rows, after)
    whole, drawn = answer.reach[0], rows.drawn
    assert whole.tightened == int((old & ~new).any(axis=1).sum())
    assert whole.freed == int((new & ~old).any(axis=1).sum())
    assert whole.drawn == sum(not new[row, drawn[row]] for row in range(len(rows)))
    assert whole.tightened + whole.freed > 0


def test_each_rule_is_counted_as_it_bars_alone(answer: Answer) -> None:
    rows, after = answer.rows, answer.after
    limit = next(rule for rule in after.guardrails if rule.name == "channel_limit")
    reached = drawn = 0
    for row in range(len(rows)):
        barred = {i for bar in limit.bars(after.moment(rows.context(row))) for i in bar.actions}
        reached += bool(barred)
        drawn += int(rows.drawn[row]) in barred
    found = {(each.segment, each.rule): each for each in answer.rules}
    assert (found["all", "channel_limit"].after, found["all", "channel_limit"].breaches) == (
        reached, drawn,
    )  # fmt: skip
    parts = [each for (name, rule), each in found.items() if rule == "channel_limit"]
    assert sum(each.after for each in parts) == 2 * reached  # all, and the segments once more


def test_the_rules_in_force_have_no_breach(rows: Rows) -> None:
    found = rerun(rows, rows.revision)
    assert np.array_equal(found.allowed, rows.allowed)
    assert found.allowed[np.arange(len(rows)), rows.drawn].all()


def test_a_log_that_contradicts_its_rules_is_refused(rows: Rows) -> None:
    wrong = rows.log.allowed.copy()
    wrong[3, rows.columns[1:]] ^= True
    other = replace(rows, log=replace(rows.log, allowed=wrong))
    with pytest.raises(
        LogError, match=f"decision {rows.log.decision_id[3]}: the rules of revision"
    ):
        what_if(other, TIGHTER, Question())


def truth(rows: Rows, run: Rollout, target: NDArray[np.float64]) -> float:
    """What probabilities are worth at the logged histories; currency per decision."""
    place = {decision.decision_id: row for row, decision in enumerate(run.decisions)}
    chosen = [place[name] for name in rows.log.decision_id.tolist()]
    return float((target * run.expected[chosen]).sum(axis=1).mean())


def test_the_value_of_tighter_rules_holds_the_truth(
    rows: Rows, run: Rollout, answer: Answer
) -> None:
    assert answer.tightened is not None
    assert answer.value is not None
    known = truth(rows, run, answer.tightened.target)
    change = known - truth(rows, run, rows.distribution)
    assert change < 0.0
    for each in answer.value.estimates:
        assert abs(each.value - known) < 3.0 * each.stderr
        assert each.low < known < each.high
    for difference in answer.differences:
        assert difference.low < change < difference.high
        assert abs(difference.value - change) < 3.0 * difference.stderr


def test_a_policy_that_is_at_hand_is_asked_again(rows: Rows) -> None:
    kept = rows.allowed.copy()
    kept[:, 1:4] = False
    found = tighten(rows, kept, {"": Uniform()})
    treated = rows.log.group == "treatment"
    lost = (rows.allowed & ~kept).any(axis=1)
    assert found.changed == int(lost.sum())
    assert found.recomputed == int((lost & treated).sum()) > 0
    even = kept / kept.sum(axis=1, keepdims=True)
    assert np.allclose(found.target, even)  # uniform, floor and all
    assert tighten(rows, kept, {}).recomputed == 0
    assert np.allclose(tighten(rows, kept, {}).target, even)
    stranger = tighten(rows, kept, policies_of(rows, None, None))  # the agent's learner, untaught
    assert stranger.recomputed == 0


def test_a_snapshot_that_decided_is_asked_again(
    folder: Path, policy: HybridThompson, tmp_path: Path
) -> None:
    found = read_rows(folder)
    names = np.where(found.log.group == "treatment", "s1", "")
    found = replace(found, log=replace(found.log, snapshot=names.astype(object)))
    key, file = tmp_path / "key", tmp_path / "s1.snapshot"
    key.write_bytes(b"k" * 32)
    file.write_bytes(sealed(policy, found.revision, 10, b"k" * 32))
    policies = policies_of(found, tmp_path, key)
    kept = found.allowed.copy()
    kept[:, 5:] = False
    lost = (found.allowed & ~kept).any(axis=1) & (names == "s1")
    assert tighten(found, kept, policies).recomputed == int(lost.sum()) > 0
    with pytest.raises(SnapshotError, match="--key: expected the key file"):
        policies_of(found, tmp_path, None)


def test_what_nothing_is_known_of_counts_as_unsupported(rows: Rows) -> None:
    some = np.asarray(
        (~rows.allowed).any(axis=1)
    )  # as with always_act: what is left was barred before
    kept = rows.allowed & ~some[:, None]
    found = tighten(rows, kept, {})
    assert found.emptied == int(some.sum()) > 0
    assert (found.target * rows.allowed)[some].sum() == 0.0


MakeLog = Callable[..., LoggedDecisions]


def test_paired_intervals_cover_and_are_narrower(market: Any, make_log: MakeLog) -> None:
    """Three actions in ten are taken away at random; the truth is known in closed form."""
    covered, narrower, runs = 0, [], 30
    for seed in range(runs):
        found = make_log(3_000, seed)
        rng = np.random.default_rng(seed)
        kept = found.allowed & (rng.random(found.allowed.shape) < 0.7)
        kept[:, 0] = found.allowed[:, 0]
        left = found.distribution * kept
        target = left / left.sum(axis=1, keepdims=True)
        change = market.truth(found, target) - market.truth(found, found.distribution)
        each = paired(found, target, found.distribution, estimator="snips")
        covered += each.low < change < each.high
        level = paired(found, target, np.zeros_like(target), estimator="ips")
        narrower.append(each.stderr / level.stderr)
    assert covered / runs >= 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / runs)
    assert np.mean(narrower) < 0.8


def test_loosening_has_no_value_and_says_what_trying_takes(rows: Rows) -> None:
    answer = what_if(rows, Change(drops=("offer_pause",)), Question(prices=False))
    found = answer.loosened
    assert answer.value is None
    assert found is not None
    assert [guess.model for guess in found.guesses][:2] == ["ridge", "trees"]
    assert found.low <= min(g.low for g in found.guesses) < max(g.high for g in found.guesses)
    decisions = [each.decisions for each in found.explorations]
    assert decisions == sorted(decisions, reverse=True)


def test_exploration_is_enough_for_the_precision(rows: Rows) -> None:
    freed = np.zeros_like(rows.allowed)
    freed[::2, 1] = True
    q = np.tile(np.arange(float(freed.shape[1])), (len(rows), 1))
    one = loosen(rows, freed, {"m": q}, precision=0.2)
    two = loosen(rows, freed, {"m": q}, precision=0.1)
    assert two.explorations[0].decisions == pytest.approx(4 * one.explorations[0].decisions, abs=4)
    variance = one.share * float(np.var(rows.log.reward)) / 0.01
    reach = 1.96 * np.sqrt(variance / one.explorations[0].decisions)
    assert reach == pytest.approx(0.2, rel=1e-3)
    logged = (rows.distribution * q).sum(axis=1)
    assert one.high == pytest.approx((1.0 - logged[::2]).sum() / len(rows))


def test_prices_are_of_rules_that_stand_alone(answer: Answer) -> None:
    found = rerun(answer.rows, answer.rows.revision)
    for price in (each for each in answer.prices if each.segment == "all"):
        number = found.names.index(price.rule)
        freed = found.without(number) & ~found.allowed
        assert price.decisions == int(freed.any(axis=1).sum())
    cap = [each for each in answer.prices if each.rule == "channel_limit"]
    assert all(each.unit == "one contact more" for each in cap)
    whole = {each.rule: each for each in answer.prices if each.segment == "all"}
    assert np.isnan(whole["eligible"].per_unit)


def test_the_second_opinion_agrees_that_nothing_changes(revision: Revision) -> None:
    found = second_opinion("telecom", revision, revision, customers=60, rounds=2)
    assert (found.value, found.stderr) == (0.0, 0.0)
    tighter = Change(guardrails=("contact_limit.max=0",)).apply(revision)
    assert second_opinion("telecom", revision, tighter, customers=150, rounds=2).high < 0.0


def test_a_world_is_checked_before_anything_is_read_or_asked(rows: Rows, tmp_path: Path) -> None:
    words = ["what-if", str(tmp_path / "no.parquet"), "--drop", "x", "--simulate", "telecmo"]
    with pytest.raises(UnknownNameError, match="--simulate: .*did you mean 'telecom'"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    steps: list[int] = []
    with pytest.raises(ValueError, match="does not fit"):
        what_if(rows, TIGHTER, Question(world="bank"), steps.append)
    assert not steps


def test_changes_are_said_in_words(revision: Revision) -> None:
    after = Change(guardrails=("contact_limit.max=2",), drops=("offer_pause",)).apply(revision)
    assert in_words(revision, after) == (
        "guardrail contact_limit tightened: max 3 -> 2", "guardrail offer_pause removed (cooldown)",
    )  # fmt: skip


def edited(tmp_path: Path) -> Path:
    """Copy the example workspace, with one contact a week less."""
    folder = tmp_path / "edited"
    shutil.copytree(ROOT / "agents/examples/telecom", folder)
    file = folder / "workspace.yaml"
    found = file.read_text()
    changed = re.sub(r"(contact_limit:(?:.|\n)*?max: )3", r"\g<1>1", found, count=1)
    assert changed != found
    file.write_text(changed)
    return folder


def test_an_edited_workspace_is_a_change(revision: Revision, tmp_path: Path) -> None:
    folder = edited(tmp_path)
    after = Change(against=folder).apply(revision)
    assert in_words(revision, after) == ("guardrail contact_limit tightened: max 3 -> 1",)
    assert after.id == Change(guardrails=("contact_limit.max=1",)).apply(revision).id
    with pytest.raises(StateError, match="got both"):
        Change(against=folder, drops=("offer_pause",)).apply(revision)
    agent = revision.agent.model_copy(update={"agent": "stranger"})
    with pytest.raises(UnknownNameError, match="--against: .* has no agent 'stranger'"):
        Change(against=folder).apply(Revision(revision.workspace, agent))


def test_the_command_takes_an_edited_workspace(log: Path, tmp_path: Path) -> None:
    shared = ["what-if", str(log), "--no-prices", "--json", "--force"]
    words = (["--against", str(edited(tmp_path))], ["--guardrail", "contact_limit.max=1"])
    done = [CliRunner().invoke(app, [*shared, *each]) for each in words]
    assert [each.exit_code for each in done] == [0, 0]
    found = [orjson.loads(each.stdout) for each in done]
    assert found[0] == found[1]
    assert found[0]["reach"][0]["tightened"] > 0


def test_decisions_of_other_revisions_are_counted(log: Path, rows: Rows, tmp_path: Path) -> None:
    assert rows.left_out == 0
    shutil.copytree(log, tmp_path / "log")
    (file,) = (tmp_path / "log").glob("*.parquet")
    table = pq.read_table(file)
    names = table["revision"].to_pylist()
    drawn = [group != "control" for group in table["group"].to_pylist()]
    names[:100] = ["old"] * 100
    place = table.schema.get_field_index("revision")
    kind = table.schema.field("revision")
    pq.write_table(table.set_column(place, kind, pa.array(names, kind.type)), file)
    found = read_rows(tmp_path / "log")
    assert found.left_out == sum(drawn[:100])
    assert len(found) == len(rows) - found.left_out
    answer = what_if(found, TIGHTER, Question(prices=False))
    assert record(answer)["left_out"] == found.left_out
    assert f"; {found.left_out} of other revisions left out" in str(next(tables(answer)))


def test_an_extrapolated_price_is_not_told(answer: Answer) -> None:
    priced = replace(answer.prices[0], untried=0.0, gain=0.25)
    other = replace(priced, rule="other", untried=0.5, gain=0.75)
    found = replace(answer, prices=(priced, other))
    assert [each["gain"] for each in record(found)["prices"]] == [0.25, None]
    assert [each["gain"] for each in record(found, force=True)["prices"]] == [0.25, 0.75]
    plain, forced = shown(found, force=False), shown(found, force=True)
    assert "250.00" in plain
    assert "750.00" not in plain
    assert "no interval" in plain
    assert "750.00, EXTRAPOLATED" in forced


def shown(answer: Answer, *, force: bool) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(*tables(answer, force=force))
    return " ".join(console.export_text().split())  # however its lines are broken


def test_what_was_never_tried_is_recounted(answer: Answer) -> None:
    rows, found = answer.rows, rerun(answer.rows, answer.rows.revision)
    people = rows.log.customer
    for price in (each for each in answer.prices if each.segment == "all"):
        freed = found.without(found.names.index(price.rule)) & ~found.allowed
        untried = 0
        for action in range(freed.shape[1]):
            barred = set(people[freed[:, action]].tolist())
            drawn = set(people[rows.drawn == action].tolist())
            untried += 0 if barred & drawn else int(freed[:, action].sum())
        assert price.untried == pytest.approx(untried / freed.sum())
        assert price.extrapolated == (price.untried > 0.1)
    assert {each.rule for each in answer.prices if each.extrapolated} >= {"eligible"}


def test_a_difference_that_turned_is_not_told(answer: Answer) -> None:
    """What is worth more in one half and less in the other has no one number."""
    moved = tuple(
        replace(each, conversions=99.0, drift=GapDrift(2.0, 1e-9)) for each in answer.differences
    )
    turned = replace(answer, differences=moved)
    assert not turned.supported
    assert any("differs between the halves of the log" in words for words in reasons(turned))
    steady = tuple(replace(each, drift=STEADY) for each in moved)
    assert not any("the halves" in words for words in reasons(replace(answer, differences=steady)))


def test_progress_is_told(rows: Rows) -> None:
    told: list[int] = []
    rerun(rows, rows.revision, told.append)
    assert 0 <= len(rows) - sum(told) < 500


def test_a_guardrail_is_added_from_a_file(revision: Revision, tmp_path: Path) -> None:
    file = tmp_path / "more.yaml"
    file.write_text("no_sms: {rule: eligibility, when: 'false', on: {channels: [sms]}}\n")
    after = Change(adds=(file,)).apply(revision)
    assert "no_sms" in after.agent.guardrails


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (Change(), StateError, "expected --against FOLDER, or one or more of"),
        (Change(drops=("contact_limits",)), UnknownNameError, "did you mean 'contact_limit'"),
        (Change(guardrails=("contact_limit.mox=2",)), UnknownNameError, "did you mean 'max'"),
        (Change(guardrails=("contact_limit",)), StateError, "expected NAME.FIELD=VALUE"),
        (Change(guardrails=("contact_limit.max=-1",)), StateError,
         "^--guardrail contact_limit.max=-1: at guardrails.contact_limit"),
        (Change(settings=("nobody.x=1",)), UnknownNameError, "there is no 'nobody'"),
        (Change(settings=("retention.offers.bill_explained.channels=[email]",)), LogError,
         "expected the same actions"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_said(
    revision: Revision, change: Change, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        change.apply(revision)


def test_the_command_answers_in_json_and_refuses(log: Path) -> None:
    words = ["what-if", str(log), "--guardrail", "contact_limit.max=1", "--no-prices", "--json"]
    done = CliRunner().invoke(app, words)
    found = orjson.loads(done.stdout)
    assert found["reach"][0]["tightened"] > 0
    assert (done.exit_code == 0) == found["supported"]
    assert (found["tightened"]["value"] is None) == (not found["supported"])


def test_the_command_says_what_is_not_identified(log: Path) -> None:
    done = CliRunner().invoke(app, ["what-if", str(log), "--drop", "offer_pause"])
    assert done.exit_code == 0, done.output
    assert "has no value from this log" in done.output
    assert "first-order" in done.output


def test_a_change_that_changes_nothing_is_said_to(log: Path) -> None:
    folder = ROOT / "agents" / "examples" / "telecom"
    done = CliRunner().invoke(app, ["what-if", str(log), "--against", str(folder)])
    assert done.exit_code == 0
    lines = [line for line in done.output.splitlines() if line.strip()]
    assert lines[-1] == "nothing changed: the rules are those that were in force"
    assert not any("bars an action" in line for line in lines)
