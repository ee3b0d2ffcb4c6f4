"""Two replicas of a server with loops, on one ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.loops import finding
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]

RANK = "/personalizer/v1.0/rank"
pytestmark = pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)


def event(name: str) -> dict[str, Any]:
    actions = [{"id": each, "features": [{"word": each}]} for each in ("tea", "cake", "soup")]
    return {"eventId": name, "contextFeatures": [{"user": {"id": "ann"}}], "actions": actions}


def test_replicas_agree_on_events_and_on_which_loop_is_meant(
    own_loops: Path, tmp_path: Path, serve_settings: Serve, ledger_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The path without a name must not go on to mean the first loop on one replica alone."""
    monkeypatch.setattr(finding, "LOOK_EVERY_S", 0.0)
    side = (own_loops / "agents" / "front_page.yaml").read_text().replace("front_page", "side")
    with serve_settings(Settings(own_loops, tmp_path / "one", ledger_url=ledger_url)) as one:
        shutil.copytree(tmp_path / "one" / "keys", tmp_path / "two" / "keys")
        with serve_settings(Settings(own_loops, tmp_path / "two", ledger_url=ledger_url)) as two:
            first = one.post(RANK, json=event("e-1"))
            assert first.status_code == 201
            assert two.post(RANK, json=event("e-1")).content == first.content
            reward = two.post("/personalizer/v1.0/events/e-1/reward", json={"value": 1})
            assert reward.status_code == 204
            kinds = [each["kind"] for each in one.get("/v1/customers/ann").json()["entries"]]
            assert kinds == ["outcome", "decision"]

            made = one.put(
                "/v1/agents/side", content=side, headers={"Content-Type": "application/yaml"}
            ).json()
            asked = {"revision": made["revision"], "expected": None}
            assert one.post("/v1/agents/side/activate", json=asked).status_code == 200
            for replica in (one, two):
                refused = replica.post(RANK, json=event("e-2"))
                assert refused.status_code == 400
                assert "2 loops" in refused.json()["error"]["message"]
                assert replica.post(f"/loops/side{RANK}", json=event("e-2")).status_code == 201
