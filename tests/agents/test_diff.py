from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from agents.catalog import example_folder
from agents.changes.diff import diff
from agents.changes.impact import impact, masks, read_customers
from agents.changes.tightness import verdict
from agents.commands import app
from agents.errors import ContextError, StateError
from agents.load import LoadedWorkspace, load_workspace
from agents.spec import GuardrailSpec

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULE: TypeAdapter[GuardrailSpec] = TypeAdapter(GuardrailSpec)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with example_folder("telecom") as source:
        for path in source.rglob("*.yaml"):
            copy = tmp_path / "new" / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text("utf-8"), encoding="utf-8")
    return tmp_path / "new"


def changed(folder: Path, file: str, old: str, new: str) -> LoadedWorkspace:
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return load_workspace(folder)


AGENT = "agents/retention.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (AGENT, "# Keep", "# Kept", []),
        (AGENT, "renewed: {value: 80", "renewed: {value: 90",
         ["agent retention: outcome renewed changed: value 80 -> 90"]),
        (AGENT, "  upgraded: {value: 30, window: 7d}\n", "",
         ["agent retention: outcome upgraded removed"]),
        (AGENT, "channels: [email, push]", "channels: [email]",
         ["agent retention: offer bigger_plan changed: channels [email, push] -> [email]",
          "agent retention: action removed: bigger_plan/save@push",
          "agent retention: action removed: bigger_plan/free@push"]),
        (AGENT, "cost: 1.5\n", "cost: 2\n    end: 2026-12-31\n",
         ["agent retention: offer loyalty_credit changed: cost 1.5 -> 2; end nothing ->"
          " 2026-12-31"]),
        (AGENT, "pause: 14d", "pause: 21d",
         ["agent retention: guardrail offer_pause tightened: pause 2w -> 3w"]),
        (AGENT, "max: 2, per: 14d", "max: 3, per: 14d",
         ["agent retention: guardrail channel_limit loosened: max 2 -> 3"]),
        (AGENT, "max: 2, per: 14d", "max: 3, per: 21d",
         ["agent retention: guardrail channel_limit changed: max 2 -> 3; per 2w -> 3w"]),
        (AGENT, "[education, retention, promotion]", "[promotion]",
         ["agent retention: guardrail service_before_sales loosened: on.kinds [education,"
          " retention, promotion] -> [promotion]"]),
        (AGENT, "  offer_pause: {rule: cooldown, pause: 14d, scope: offer}\n", "",
         ["agent retention: guardrail offer_pause removed (cooldown)"]),
        (AGENT, "control: 0.2", "control: 0.1",
         ["agent retention: holdout.control: 0.2 -> 0.1"]),
        (AGENT, "floor: 0.05", "floor: 0.1", ["agent retention: policy.floor: 0.05 -> 0.1"]),
        (AGENT, "always_act", "always_act", []),
        (AGENT, "Here is why, line by line", "Here is why, in short",
         ["agent retention: offer bill_explained changed: variants.plain.text ...ere is why, line"
          " by line. -> ...ere is why, in short."]),
        ("workspace.yaml", "cost: 0.06", "cost: 0.05",
         ["workspace: channel sms changed: cost 0.06 -> 0.05"]),
        ("workspace.yaml", "max: 3, per: 14d", "max: 2, per: 14d",
         ["workspace: guardrail contact_limit tightened: max 3 -> 2"]),
        ("workspace.yaml", "max: 120", "max: 110",
         ["workspace: customer field age changed: max 120 -> 110"]),
        ("workspace.yaml", "zone: Europe/Berlin", "zone: Europe/Paris",
         ["workspace: zone: Europe/Berlin -> Europe/Paris"]),
    ],
)  # fmt: skip
def test_a_change_is_said_in_words(
    telecom: LoadedWorkspace, folder: Path, file: str, old: str, new: str, expected: list[str]
) -> None:
    if old == "always_act":
        old, new = "policy:", "always_act: true\n\npolicy:"
        expected = ["agent retention: always_act: False -> True"]
    changes = diff(telecom, changed(folder, file, old, new))
    assert [f"{change.where}: {change.words}" for change in changes] == expected


def test_agents_come_and_go(telecom: LoadedWorkspace, folder: Path) -> None:
    path = folder / AGENT
    other = path.read_text("utf-8").replace("agent: retention", "agent: seller")
    (path.parent / "seller.yaml").write_text(other, encoding="utf-8")
    both = load_workspace(folder)
    assert diff(telecom, both) == [("agent seller", "added")]
    assert diff(both, telecom) == [("agent seller", "removed")]


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("frequency_cap", {"max": 3, "per": "7d"}, {"max": 2, "per": "7d"}),
        ("frequency_cap", {"max": 3, "per": "7d"}, {"max": 3, "per": "8d"}),
        ("frequency_cap", {"max": 3, "per": "day", "window": "calendar"},
         {"max": 3, "per": "week", "window": "calendar"}),
        ("cooldown", {"pause": "1d", "times": 3, "within": "9d"},
         {"pause": "1d", "times": 2, "within": "9d"}),
        ("cooldown", {"pause": "1d", "after": ["a"]}, {"pause": "1d", "after": ["a", "b"]}),
        ("event_suppression", {"after": ["a"], "for": "1d"}, {"after": ["a"]}),
        ("budget", {"max": 9.0}, {"max": 8.0}),
        ("budget", {"min": 5, "per": "day"}, {"min": 5, "max": 9, "per": "day"}),
        ("exclusion_list", {"customers": ["a"]}, {"customers": ["b", "a"]}),
        ("exclusive", {"agents": ["a", "b"], "for": "1d"}, {"agents": ["a", "b"], "for": "2d"}),
        ("precedence", {"order": ["service", "promotion"], "after": ["x"], "within": "1d"},
         {"order": ["service", "promotion"], "after": ["x"], "within": "2d"}),
        ("escalation", {"from": "a", "to": "b", "unless": ["x"], "wait": "1d", "within": "9d"},
         {"from": "a", "to": "b", "unless": ["x"], "wait": "2d", "within": "8d"}),
    ],
)  # fmt: skip
def test_a_guardrail_is_tightened_one_way_and_loosened_the_other(
    rule: str, old: dict[str, object], new: dict[str, object]
) -> None:
    before = _spec(rule, old)
    after = _spec(rule, new)
    assert verdict(before, after, ()) == "tightened"
    assert verdict(after, before, ()) == "loosened"


def _spec(rule: str, fields: dict[str, object]) -> GuardrailSpec:
    return RULE.validate_json(json.dumps({"rule": rule, **fields}))


def test_what_has_no_direction_has_changed(telecom: LoadedWorkspace) -> None:
    old = _spec("frequency_cap", {"max": 3, "per": "7d", "scope": "kind"})
    assert verdict(old, _spec("frequency_cap", {"max": 3, "per": "7d"}), ()) == "changed"
    assert verdict(old, _spec("cooldown", {"pause": "1d"}), ()) == "changed"
    actions = telecom.revisions["retention"].actions[1:]
    some = _spec("cooldown", {"pause": "1d", "on": {"kinds": ["service"]}})
    other = _spec("cooldown", {"pause": "1d", "on": {"kinds": ["promotion"]}})
    every = _spec("cooldown", {"pause": "1d"})
    assert verdict(some, other, actions) == "changed"
    assert verdict(some, every, actions) == "tightened"
    assert verdict(every, some, actions) == "loosened"


@pytest.fixture
def customers() -> pa.Table:
    return pa.table(
        {
            "customer": ["ann", "bob", "cem"],
            "roaming_days": [2, 0, None],
            "open_complaint": [True, False, False],
            "consent_sms": [True, True, True],
            "consent_push": [True, True, None],
            "time_zone": ["Europe/Berlin"] * 3,
        }
    )


def test_customers_who_gain_and_lose_an_action_are_counted(
    telecom: LoadedWorkspace, folder: Path, customers: pa.Table
) -> None:
    new = changed(folder, AGENT, "[education, retention, promotion]", "[promotion]")
    assert impact(telecom, telecom, customers, NOON) == []
    counted = {(i.action, i.gained, i.lost) for i in impact(telecom, new, customers, NOON)}
    assert counted == {
        (f"roaming_pass/{variant}@{channel}", 1, 0)
        for variant in ("price", "calm")
        for channel in ("sms", "push")
    }
    back = {(i.gained, i.lost) for i in impact(new, telecom, customers, NOON)}
    assert back == {(0, 1)}


def test_budgets_count_as_unused(folder: Path, customers: pa.Table) -> None:
    rule = "guardrails:\n  total: {rule: budget, max: 100, per: month}"
    loaded = changed(folder, AGENT, "guardrails:", rule)
    revision = loaded.revisions["retention"]
    abroad = customers.set_column(1, "roaming_days", pa.array([3, 3, 3]))
    allowed = masks(revision, abroad, NOON)  # (N, A)
    assert allowed.shape == (3, len(revision.actions))
    for number, row in enumerate(abroad.to_pylist()):
        context = revision.context(row.pop("customer"), NOON, row)
        usage = {reading.key: 0.0 for reading in revision.readings(context)}
        mask = revision.mask(replace(context, usage=usage))
        assert allowed[number].tolist() == mask.allowed.tolist()
    assert allowed[1:, 1:].any()
    assert not allowed[0, 1:].any()


def test_customers_that_do_not_fit_are_refused(
    telecom: LoadedWorkspace, customers: pa.Table, tmp_path: Path
) -> None:
    old = customers.append_column("age", pa.array([30, 15, 40]))
    with pytest.raises(ContextError, match="row 1: customer.age: expected a number from 16 to 120"):
        impact(telecom, telecom, old, NOON)
    odd = customers.append_column("plam", pa.array(["a", "b", "c"]))
    with pytest.raises(ContextError, match="the column 'plam'; did you mean 'plan'?"):
        impact(telecom, telecom, odd, NOON)
    path = tmp_path / "c.parquet"
    pq.write_table(customers.drop_columns(["customer"]), path)
    with pytest.raises(StateError, match="expected a column 'customer' in"):
        read_customers(path)
    path.write_text("no parquet", encoding="utf-8")
    with pytest.raises(StateError, match="cannot be read as Parquet"):
        read_customers(path)


def test_the_command_says_it_all(folder: Path, customers: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    pq.write_table(customers, path)
    with example_folder("telecom") as old:
        same = CliRunner().invoke(app, ["diff", str(old), str(folder)], catch_exceptions=False)
        changed(folder, AGENT, "[education, retention, promotion]", "[promotion]")
        arguments = ["diff", str(old), str(folder), "--customers", str(path)]
        result = CliRunner().invoke(
            app, [*arguments, "--at", "2026-03-02T12:00:00Z"], catch_exceptions=False
        )
    assert same.output == "no difference\n"
    lines = result.output.splitlines()
    assert lines[0] == "agent retention"
    assert lines[1].startswith("  guardrail service_before_sales loosened: on.kinds")
    assert "Of 3 customers, not contacted yet" in result.output
    assert "roaming_pass/calm@push" in result.output


def test_a_pace_of_fewer_actions_is_neither_tighter_nor_looser(folder: Path) -> None:
    actions = load_workspace(folder).revisions["retention"].actions[1:]
    text = '{"rule": "budget", "min": 5, "per": "day", "on": {"kinds": [%s]}}'
    wide = RULE.validate_json(text % '"service", "education"')
    narrow = RULE.validate_json(text % '"service"')
    assert verdict(wide, narrow, actions).value == "changed"
    capped = '{"rule": "budget", "max": 5, "per": "day", "on": {"kinds": [%s]}}'
    wide, narrow = (RULE.validate_json(capped % k) for k in ('"service", "education"', '"service"'))
    assert verdict(wide, narrow, actions).value == "loosened"


def test_a_file_of_customers_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no file .*none.parquet"):
        read_customers(tmp_path / "none.parquet")
