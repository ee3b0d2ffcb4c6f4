"""`nextbest submit`: checked here, told in words, asked, and refused when somebody was faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from agents.errors import ConflictError, DocumentError, StateError, UnknownNameError
from agents.load import load_workspace
from serving.commands import app
from serving.life.submit import Submission, submit_workspace

Serve = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def client(open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop() as opened:
        yield opened


@pytest.fixture
def changed(own_shop: Path, client: httpx.Client) -> str:
    """Change one agent's file here, after the server has started; the new revision's id."""
    assert client.get("/readyz").is_success
    file = own_shop / "agents" / "care.yaml"
    file.write_text(file.read_text().replace("value: 3,", "value: 7,"))
    return load_workspace(own_shop).revisions["care"].id


def run(shop: Path, client: httpx.Client, *more: str, typed: str = "") -> str:
    words = ["submit", str(shop), "--url", str(client.base_url), *more]
    result = CliRunner().invoke(app, words, input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def stands(client: httpx.Client) -> httpx.Response:
    return client.get("/v1/agents/care")


def test_it_shows_asks_and_submits(own_shop: Path, client: httpx.Client, changed: str) -> None:
    before = stands(client).json()
    text = run(own_shop, client, typed="n\n")
    assert "agent sales:" in text
    assert "is active already" in text
    assert f"agent care: against {before['revision']}, which is active" in text
    assert "  outcome helped changed: value 3 -> 7" in text
    assert "nothing was changed" in text
    assert stands(client).json() == before
    assert len(client.get("/v1/agents/care/revisions").json()) == 1  # not even stored
    text = run(own_shop, client, "--percent", "25", "--reason", "spring", typed="y\n")
    assert f"{changed} is what decides for 25 % of the customers" in text
    assert stands(client).json()["canary"] == changed
    text = run(own_shop, client, "--agent", "care", "--yes")
    assert f"now {changed} decides for 25 % of the customers" in text
    assert "agent sales" not in text
    assert stands(client).json()["revision"] == changed
    assert "is active already" in run(own_shop, client, "--agent", "care", "--yes")


def test_a_shadow_and_a_new_agent(own_shop: Path, client: httpx.Client, changed: str) -> None:
    assert "is the shadow, of which nothing comes" in run(own_shop, client, "--shadow", "--yes")
    assert stands(client).json()["shadow"] == changed
    text = (own_shop / "agents" / "care.yaml").read_text()
    (own_shop / "agents" / "late.yaml").write_text(text.replace("agent: care", "agent: late"))
    assert "agent late: new, 2 actions" in run(own_shop, client, "--agent", "late", "--yes")
    assert client.get("/v1/agents/late").is_success


def test_whoever_was_slower_is_told_and_changes_nothing(
    own_shop: Path, client: httpx.Client, changed: str
) -> None:
    text = (own_shop / "agents" / "care.yaml").read_text().replace("value: 7,", "value: 9,")
    other = client.put("/v1/agents/care", content=text).json()
    body = {"revision": other["revision"], "expected": other["standing"]["revision"]}

    def agree(_question: str) -> bool:  # and meanwhile
        return client.post("/v1/agents/care/activate", json=body).is_success

    how, said = Submission(str(client.base_url)), list[str]()
    with pytest.raises(ConflictError, match="nothing was changed") as caught:
        submit_workspace(own_shop, "care", how, said.append, agree)
    assert f"revision {other['revision']} is active" in str(caught.value)
    assert "submit again" in str(caught.value)
    assert stands(client).json()["revision"] == other["revision"]
    assert changed in {each["revision"] for each in client.get("/v1/agents/care/revisions").json()}


def test_nothing_is_sent_of_a_workspace_that_is_wrong(own_shop: Path, client: httpx.Client) -> None:
    how, said = Submission("http://127.0.0.1:9"), list[str]()
    with pytest.raises(StateError, match="no answer from"):
        submit_workspace(own_shop, None, how, said.append, lambda _: True)
    with pytest.raises(UnknownNameError, match="did you mean 'care'"):
        submit_workspace(own_shop, "cara", how, said.append, lambda _: True)
    file = own_shop / "agents" / "care.yaml"
    file.write_text(file.read_text().replace("window: 30d", "window: 30"))
    with pytest.raises(DocumentError, match=r"care\.yaml:3"):
        submit_workspace(own_shop, None, how, said.append, lambda _: True)
    assert said == []


def test_another_workspace_on_the_server_is_told(
    own_shop: Path, client: httpx.Client, changed: str
) -> None:
    shared = own_shop / "workspace.yaml"
    shared.write_text(shared.read_text().replace("max: 50, per: 20d", "max: 40, per: 20d"))
    assert "the server's workspace.yaml is not the one here" in run(own_shop, client, "--yes")
    assert stands(client).json()["revision"] == changed
