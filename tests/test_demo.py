"""The demo, small: the real server on Ray Serve, and what its log must hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import chi2

from agents.decisions import Decision
from agents.log import SCHEMA
from agents.revision import Revision
from policies.decide import replay
from policies.registry import create_policy
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteReader
from serving.settings import load_keys

CUSTOMERS = 1_000
ROUNDS = 6


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "run"
    program = Path(sys.executable).parent / "nextbest"
    command = [str(program), "demo", "--folder", str(folder), "--customers", str(CUSTOMERS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="session")
def closing(demo: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((demo / "closing.json").read_text())
    return record


@pytest.fixture(scope="session")
def log(demo: Path) -> pa.Table:
    return pq.read_table(demo / "log" / "decisions.parquet")


def test_every_customer_was_decided_for_in_every_round(log: pa.Table) -> None:
    assert log.schema.equals(SCHEMA)
    assert log.num_rows == CUSTOMERS * ROUNDS
    assert len(set(log["decision_id"].to_pylist())) == log.num_rows
    assert log["closed_at"].null_count == 0


def test_no_guardrail_was_broken(closing: dict[str, Any]) -> None:
    assert closing["breaches"] == 0


def test_the_learner_published_while_the_server_answered(
    closing: dict[str, Any], log: pa.Table
) -> None:
    assert closing["snapshots"] >= 2
    assert len(set(log["snapshot"].to_pylist())) >= 2  # untaught, and what was taken up meanwhile


def test_the_closing_table_is_printed_whole(demo: Path, closing: dict[str, Any]) -> None:
    printed = (demo / "printed.txt").read_text()
    for row in (*closing["groups"], *closing["lifts"], *closing["values"]):
        assert row["name"] in printed
        assert row["low"] <= row["value"] <= row["high"]
        assert np.isfinite(row["truth"])
    for words in (
        "Breaches, by the re-check",
        "Decisions per second",
        "Latency p50",
        "Latency p99",
    ):
        assert words in printed


def test_estimates_agree_with_the_truth(closing: dict[str, Any]) -> None:
    """Each interval is at 95%; four times its half-width is about eight standard errors."""
    for row in (*closing["groups"], *closing["lifts"], *closing["values"]):
        reach = 4 * max(row["high"] - row["value"], row["value"] - row["low"])
        assert abs(row["value"] - row["truth"]) <= reach, row


def test_the_uniform_policy_has_a_mean_weight_of_one(log: pa.Table) -> None:
    rows = [row for row in log.to_pylist() if row["group"] != "control"]
    allowed = np.array([sum(reason is None for reason in row["mask"]) for row in rows])  # (N,)
    propensity = np.array([row["propensity"] for row in rows])  # (N,)
    weights = 1.0 / (allowed * propensity)  # (N,)
    error = weights.std(ddof=1) / np.sqrt(len(weights))
    assert abs(weights.mean() - 1.0) <= 4 * error


def test_draws_follow_the_logged_propensities(log: pa.Table) -> None:
    """Chi-square over thirty bins of u, the place of the draw inside its own distribution."""
    places = []
    generator = np.random.default_rng(7)
    for row in log.to_pylist():
        position = row["actions"].index(row["action"])
        below = sum(row["distribution"][:position])
        places.append(below + generator.random() * row["propensity"])
    counts, _ = np.histogram(places, bins=30, range=(0.0, 1.0))
    expected = len(places) / 30
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert statistic < chi2.ppf(0.9999, 29)


def test_a_thousand_decisions_replay(demo: Path) -> None:
    data = demo / "server"
    keys = load_keys(data)
    reader = SqliteReader.open(data / "ledger.sqlite")
    snapshots = SnapshotFolder(data / "snapshots", keys.snapshot)
    revisions: dict[str, Revision] = {}
    policies: dict[tuple[str, str], Any] = {}
    entries = [e for e in reader.entries(0, 100_000) if e.kind == "decision"]
    chosen = entries[:: max(1, len(entries) // 1_000)][:1_000]
    assert len(chosen) == 1_000
    for entry in chosen:
        decision = Decision.from_record(entry.body)
        if decision.revision not in revisions:
            source = reader.find_revision(decision.revision)
            assert source is not None
            revisions[decision.revision] = Revision.from_source(source)
        revision = revisions[decision.revision]
        key = (decision.revision, decision.snapshot)
        if key not in policies:
            policies[key] = (
                snapshots.load(decision.agent, decision.snapshot, revision)
                if decision.snapshot
                else create_policy(revision)
            )
        again = replay(decision, revision, policies[key], keys.draw)
        assert again.to_record() == decision.to_record()
        assert revision.mask(decision.context).reasons == decision.mask.reasons or (
            decision.group == "control"
        )
    reader.close()


def test_customers_leave_the_ledger_only_as_hashes(log: pa.Table) -> None:
    names = set(log["customer"].to_pylist())
    assert len(names) == CUSTOMERS
    assert all(len(name) == 32 for name in names)


def test_a_second_run_does_not_overwrite_the_first(demo: Path) -> None:
    program = Path(sys.executable).parent / "nextbest"
    command = [str(program), "demo", "--folder", str(demo)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "holds an earlier run" in done.stderr
