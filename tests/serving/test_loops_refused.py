"""An agent whose actions come with each request is asked at its own address, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from agents.catalog import write_example
from agents.errors import ContextError
from serving.ask import Question, ask_here
from serving.settings import Settings

Serve = Callable[[Settings], AbstractContextManager[httpx.Client]]
SELLER = """\
agent: seller
outcomes: {bought: {value: 1, window: 1d}}
offers: {beans: {kind: promotion, variants: {a: {text: Beans}}, channels: [app]}}
policy: {learner: uniform}
"""
RANK = "POST /loops/drinks/personalizer/v1.0/rank"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example with a loop, and an agent with offers beside it."""
    write_example("personalizer", tmp_path / "bar")
    (tmp_path / "bar" / "agents" / "seller.yaml").write_text(SELLER)
    return tmp_path / "bar"


@pytest.mark.parametrize(
    "body",
    [
        {"agent": "drinks"},
        {"agents": ["seller", "drinks"]},
        {"agents": ["drinks", "seller"]},
    ],
)
def test_a_decision_without_actions_is_refused(
    body: dict[str, object], folder: Path, serve_settings: Serve, tmp_path: Path
) -> None:
    with serve_settings(Settings(folder, tmp_path / "data")) as client:
        one = client.post("/v1/decisions", json={**body, "customer": "ann", "features": {}})
        many = {**body, "decisions": [{"customer": "ann", "features": {}}]}
        batch = client.post("/v1/decisions/batch", json=many)
        fine = client.post("/v1/decisions", json={"agent": "seller", "customer": "ann"})
    for answer in (one, batch):
        assert answer.status_code == 422
        assert RANK in answer.json()["detail"]
    assert fine.status_code == 200


def test_a_question_at_a_terminal_is_refused(folder: Path) -> None:
    question = Question(("drinks",), "ann", {}, datetime(2026, 3, 2, 12, tzinfo=UTC))
    with pytest.raises(ContextError, match=RANK):
        ask_here(folder, question)
