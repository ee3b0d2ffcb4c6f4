"""The checker finds nothing in a true log, and every kind of breach in a forged one."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from agents.checker import check_log
from agents.context import Contact
from agents.load import load_workspace
from agents.log import log_row, log_table
from agents.revision import Revision
from policies.decide import decide
from policies.uniform import Uniform

ROOT = Path(__file__).parents[2]
TELECOM = ROOT / "agents" / "examples" / "telecom"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", None)

Row = dict[str, Any]
Change = Callable[[Row], None]


def features(rng: np.random.Generator) -> dict[str, object]:
    """A customer of the telecom example; anything may be unknown."""
    known: dict[str, object] = {
        "age": int(rng.integers(16, 90)),
        "plan": str(rng.choice(["basic", "plus", "unlimited"])),
        "bill_change": float(rng.uniform(-0.2, 0.8)),
        "data_used_share": float(rng.uniform(0, 2)),
        "roaming_days": int(rng.integers(0, 3)),
        "contract_months_left": int(rng.integers(0, 13)),
        "open_complaint": bool(rng.random() < 0.2),
        "consent_email": bool(rng.random() < 0.8),
        "consent_sms": bool(rng.random() < 0.8),
        "consent_push": bool(rng.random() < 0.8),
    }
    return {name: value for name, value in known.items() if rng.random() < 0.95}


def make_log(revision: Revision, customers: int, rounds: int, seed: int = 1) -> list[Row]:
    """Decide for every customer every few days, on the way a server does."""
    rng = np.random.default_rng(seed)
    contacts: dict[str, list[Contact]] = defaultdict(list)
    people = {f"customer-{i}": features(rng) for i in range(customers)}
    zones = {name: ZONES[int(rng.choice(4, p=[0.5, 0.2, 0.2, 0.1]))] for name in people}
    rows: list[Row] = []
    for number in range(rounds):
        for name, known in people.items():
            at = START + timedelta(days=3 * number, minutes=int(rng.integers(0, 1440)))
            facts = known | {"time_zone": zones[name]}
            context = revision.context(name, at, facts, contacts[name])
            decision = decide(
                revision, Uniform(), context, decision_id=f"{name}-{number}", secret=b"s"
            )
            contact = decision.contact(revision.actions[decision.action])
            if contact is not None:
                contacts[name].append(contact)
            rows.append(log_row(len(rows), decision, revision, [], now=at, key=b"k"))
    return rows


@pytest.fixture(scope="module")
def revision() -> Revision:
    return load_workspace(TELECOM).revisions["retention"]


@pytest.fixture(scope="module")
def clean(revision: Revision) -> list[Row]:
    return make_log(revision, customers=100, rounds=8)


def forged(clean: list[Row], which: Callable[[Row], bool], change: Change) -> pa.Table:
    """Change the first row that fits."""
    rows = [dict(row) for row in clean]
    change(next(row for row in rows if which(row)))
    return log_table(rows)


def found(table: pa.Table) -> set[str]:
    return {breach.guardrail for breach in check_log(table, TELECOM)}


def known(row: Row) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(row["context"])["features"]
    return facts


def by(channel: str) -> Callable[[Row], bool]:
    return lambda row: f"@{channel}" in row["action"]


def draw(row: Row, action: str) -> None:
    """Pretend that an action was drawn, and certain."""
    row["action"], row["propensity"] = action, 1.0
    row["distribution"] = [float(name == action) for name in row["actions"]]
    row["mask"] = [None if name == action else "forged" for name in row["actions"]]


def with_features(**changes: object) -> Change:
    def change(row: Row) -> None:
        facts = {k: v for k, v in (known(row) | changes).items() if v is not None}
        row["context"] = json.dumps({"features": facts, "contacts": []})

    return change


def sent_at_local(hour: int) -> Change:
    """Send at an hour of UTC, to a customer who lives by UTC."""

    def change(row: Row) -> None:
        with_features(time_zone="UTC")(row)
        row["at"] = row["send_at"] = row["at"].replace(hour=hour)

    return change


def test_a_true_log_has_no_breach(clean: list[Row]) -> None:
    table = log_table(clean)
    assert check_log(table, TELECOM) == []
    sent = [row for row in clean if row["send_at"] is not None]
    assert len(sent) > 100  # or there would be nothing to find
    assert {row["group"] for row in clean} == {"treatment", "random", "control"}


def test_the_order_of_rows_does_not_matter(clean: list[Row]) -> None:
    assert check_log(log_table(clean[::-1]), TELECOM) == []


@pytest.mark.parametrize(
    ("channel", "change", "guardrail"),
    [
        ("email", with_features(consent_email=False), "consent"),
        ("sms", with_features(consent_sms=None), "consent"),
        ("push", sent_at_local(22), "quiet_hours"),
        ("sms", sent_at_local(20), "quiet_hours"),
        ("sms", sent_at_local(7), "quiet_hours"),
        ("push", with_features(time_zone=None), "quiet_hours"),
        ("push", with_features(time_zone="Mars/Olympus"), "quiet_hours"),
        ("email", with_features(time_zone=None), "quiet_hours"),
        ("email", lambda row: row.update(send_at=row["send_at"] + timedelta(hours=9)),
         "send_at"),
        ("email", lambda row: row.update(send_at=row["send_at"] - timedelta(days=3)),
         "send_at"),
        ("email", lambda row: row.update(send_at=row["send_at"] + timedelta(days=3)),
         "send_at"),
        ("sms", lambda row: row.update(send_at=row["at"] + timedelta(minutes=1)), "send_at"),
        ("sms", lambda row: row.update(send_at=None), "send_at"),
        ("sms", lambda row: row.update(group="control"), "control"),
        ("sms", lambda row: row.update(propensity=0.9), "propensity"),
        ("sms", lambda row: row.update(action="bigger_plan/save@pigeon"), "action"),
        ("sms", lambda row: row.update(context="no JSON"), "unreadable"),
        ("sms", lambda row: row.update(distribution=row["distribution"][1:]), "unreadable"),
        ("sms", lambda row: row.update(distribution=[0.5] * len(row["actions"])), "distribution"),
        ("sms", lambda row: row.update(distribution=[float("nan")] * len(row["actions"])),
         "distribution"),
        ("sms", lambda row: row.update(mask=["forged"] * len(row["actions"])), "distribution"),
    ],
)  # fmt: skip
def test_a_forged_row_is_found(
    clean: list[Row], channel: str, change: Change, guardrail: str
) -> None:
    assert guardrail in found(forged(clean, by(channel), change))


@pytest.mark.parametrize(
    ("offer", "facts", "guardrail"),
    [
        ("bill_explained", {"bill_change": 0.15}, "eligible"),
        ("bill_explained", {"bill_change": None}, "eligible"),
        ("bigger_plan", {"plan": "unlimited"}, "eligible"),
        ("loyalty_credit", {"contract_months_left": 7}, "eligible"),
        ("roaming_pass", {"open_complaint": True}, "service_before_sales"),
        ("roaming_pass", {"open_complaint": None}, "service_before_sales"),
    ],
)
def test_an_offer_to_the_wrong_customer_is_found(
    clean: list[Row], offer: str, facts: dict[str, object], guardrail: str
) -> None:
    def of_offer(row: Row) -> bool:
        return str(row["action"]).startswith(offer)

    assert found(forged(clean, of_offer, with_features(**facts))) == {guardrail}


def test_a_chance_for_what_is_barred_is_found_though_not_drawn(clean: list[Row]) -> None:
    def could(row: Row) -> bool:
        offered = zip(row["actions"], row["distribution"], strict=True)
        return row["action"] == "none" and any("@sms" in name and p > 0 for name, p in offered)

    assert "consent" in found(forged(clean, could, with_features(consent_sms=False)))


def test_a_random_choice_that_is_not_uniform_is_found(clean: list[Row]) -> None:
    def at_random(row: Row) -> bool:
        return bool(row["group"] == "random" and row["propensity"] < 1.0)

    def tilt(row: Row) -> None:
        drawn = row["actions"].index(row["action"])
        rest = (1.0 - 0.9) / (sum(p > 0 for p in row["distribution"]) - 1)
        row["distribution"] = [rest if p > 0 else 0.0 for p in row["distribution"]]
        row["distribution"][drawn] = row["propensity"] = 0.9

    assert found(forged(clean, at_random, tilt)) == {"random"}


def test_a_second_row_of_one_decision_is_found(clean: list[Row]) -> None:
    copy = dict(next(row for row in clean if row["action"] == "none")) | {"position": 10_000}
    assert found(log_table([*clean, copy])) == {"decision_id"}


def workspace(folder: Path, agent: str, old: str, new: str) -> Path:
    """A copy of the example with one passage of the agent's YAML replaced."""
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text((TELECOM / "workspace.yaml").read_text())
    text = (TELECOM / "agents" / "retention.yaml").read_text()
    assert old in text
    (folder / "agents" / f"{agent}.yaml").write_text(text.replace(old, new))
    return folder


def test_a_revision_is_judged_by_its_own_yaml(
    clean: list[Row], revision: Revision, tmp_path: Path
) -> None:
    strict = workspace(tmp_path / "strict", "retention", "max: 2", "max: 0")
    assert {b.guardrail for b in check_log(log_table(clean), strict)} == {"channel_limit"}
    assert check_log(log_table(clean), strict, revisions={revision.id: TELECOM}) == []


def test_an_audience_binds_all_offers(clean: list[Row], tmp_path: Path) -> None:
    folder = workspace(
        tmp_path / "w", "retention", "outcomes:", "audience: customer.plan == 'plus'\noutcomes:"
    )
    breaches = check_log(log_table(clean), folder)
    assert {b.guardrail for b in breaches} == {"audience"}
    facts = {row["decision_id"]: known(row) for row in clean}
    assert all(facts[b.decision_id].get("plan") != "plus" for b in breaches)


def test_always_act_leaves_no_chance_for_none(clean: list[Row], tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w", "retention", "outcomes:", "always_act: true\noutcomes:")
    assert {b.guardrail for b in check_log(log_table(clean), folder)} == {"always_act"}


def test_rows_of_unknown_agents_are_not_judged(clean: list[Row]) -> None:
    rows = [row | {"agent": "other"} for row in clean]
    assert check_log(log_table(rows), TELECOM) == []


def test_the_checker_shares_no_code_with_what_it_checks() -> None:
    files = [ROOT / "agents" / "checker.py", *sorted((ROOT / "agents" / "checking").glob("*.py"))]
    assert len(files) > 10
    for path in files:
        used = {
            node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
        } | {
            name.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for name in node.names
        }
        ours = {m for m in used if m.split(".")[0] in ("agents", "policies", "serving")}
        assert all(m.startswith("agents.checking.") for m in ours), f"{path.name} imports {ours}"


def test_thousands_of_rows_take_a_second(clean: list[Row]) -> None:
    table = log_table(clean)
    best = min(_seconds(table) for _ in range(3))
    assert len(clean) / best > 1_000  # rows a second; several times as many on a quiet machine


def _seconds(table: pa.Table) -> float:
    start = perf_counter()
    check_log(table, TELECOM)
    return perf_counter() - start
