"""Every logged decision can be made again, by another process, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from agents.catalog import write_example
from agents.decisions import Decision
from agents.groups import Group
from agents.revision import Revision
from policies.base import Policy
from policies.decide import replay
from policies.registry import create_policy
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import LedgerReader, open_reader
from serving.settings import Settings, load_keys

FIRST, THEN = 2_000, 8_000


def ask(port: int, features: dict[str, Any], name: str, count: int) -> None:
    """Let a batch of customers be decided for, all unlike."""
    rng = np.random.default_rng(count)
    lines = [
        {
            "customer": f"{name}{number}",
            "features": features
            | {
                "tenure_months": int(rng.integers(600)), "monthly_bill": float(rng.uniform(0, 500)),
                "data_used_share": float(rng.uniform(0, 3)), "app_user": bool(rng.integers(2)),
                "contract_months_left": int(rng.integers(24)),
            },
        }
        for number in range(count)
    ]  # fmt: skip
    body = {"agent": "retention", "at": "2026-03-02T09:00:00+00:00", "decisions": lines}
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/decisions/batch", json=body, timeout=60, trust_env=False
    )
    assert answer.text.count('"decision_id"') == count, answer.text[:500]


def test_ten_thousand_decisions_replay_after_a_restart(
    ledger_url: str, tmp_path: Path, features: dict[str, Any], nursery: Callable[..., Any]
) -> None:
    write_example("telecom", tmp_path / "telecom")
    settings = Settings(
        tmp_path / "telecom", tmp_path / "data", clock="driven", ledger_url=ledger_url
    )
    lives = nursery(settings)
    server = lives.serve()
    ask(lives.port, features, "a", FIRST)
    lives.kill(server)
    lives.learn("snapshots")
    lives.wait()
    server = lives.serve()
    ask(lives.port, features, "b", THEN)
    lives.kill(server)

    keys = load_keys(settings.data)
    folder = SnapshotFolder(settings.snapshots, keys.snapshot)
    with closing(open_reader(settings)) as reader:
        made = [Decision.from_record(e.body) for e in reader.entries(0, 1_000_000)
                if e.kind == "decision"]  # fmt: skip
        revision = revision_of(reader, made[0].revision)

    @lru_cache
    def policy(snapshot: str) -> Policy:
        return folder.load("retention", snapshot, revision) if snapshot else create_policy(revision)

    assert len(made) == FIRST + THEN
    for decision in made:
        again = replay(decision, revision, policy(decision.snapshot), keys.draw)
        assert again.distribution.tobytes() == decision.distribution.tobytes()
        assert again.action == decision.action
        assert again.to_record() == decision.to_record()
    treated = [decision for decision in made if decision.group is Group.TREATMENT]
    assert len({each.snapshot for each in treated}) == 2  # untaught, then taught
    assert len({each.distribution.tobytes() for each in treated}) > 1_000


def revision_of(reader: LedgerReader, revision_id: str) -> Revision:
    source = reader.find_revision(revision_id)
    assert source is not None
    return Revision.from_source(source)
