"""Agents of one workspace, side by side: shared budgets under load, and checks between agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.decisions import Decision, OutcomeEvent
from agents.load import load_workspace
from agents.memory import Memory
from serving.ledger import open_reader
from serving.settings import Settings

WORKSPACE = """\
workspace: branch
currency: EUR
zone: Europe/Berlin
customer:
  spend: {type: number, min: 0, max: 1000}
channels:
  phone:
    cost: 2
    capacity: {max: 7, per: day}
events:
  bounced: {counts_as: failure}
  called: {}
guardrails:
  few_promotions:
    {rule: budget, measure: contacts, max: 4, per: week, on: {kinds: [promotion]}}
  money: {rule: budget, measure: cost, max: 1000, per: month}
  delivered: {rule: frequency_cap, max: 500, per: 10d, counts: delivery, for: total}
  rest: {rule: event_suppression, after: [called], for: 3d, scope: all}
"""

AGENT = """\
agent: NAME
outcomes:
  WORD: {value: 10, window: 7d, metric: primary}
offers:
  offer:
    kind: KIND
    variants: {plain: {text: "Good morning."}, short: {text: "Hello."}}
    channels: [phone]
maturity: {start_share: 0.9, full_at_positives: 3}
policy: {learner: uniform}
holdout: {control: 0, random: 0}
always_act: true
"""

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]


def agent(name: str, kind: str, word: str, more: str = "") -> str:
    return AGENT.replace("NAME", name).replace("KIND", kind).replace("WORD", word) + more


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    folder = tmp_path / "branch"
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    (folder / "agents" / "sales.yaml").write_text(agent("sales", "promotion", "bought"))
    (folder / "agents" / "care.yaml").write_text(agent("care", "service", "helped"))
    return folder


@pytest.fixture
def settings(branch: Path, tmp_path: Path, ledger_url: str) -> Settings:
    return Settings(branch, tmp_path / "data", clock="driven", ledger_url=ledger_url)


@pytest.fixture
def client(settings: Settings, serve_settings: Serve) -> Iterator[httpx.Client]:
    with serve_settings(settings) as client:
        yield client


def ask(client: httpx.Client, name: str, number: int, at: datetime) -> dict[str, Any]:
    body = {
        "agent": name, "customer": f"c{number}", "features": {"spend": 5.0}, "at": at.isoformat()
    }  # fmt: skip
    answer = client.post("/v1/decisions", json=body)
    assert answer.is_success, answer.text
    made: dict[str, Any] = answer.json()
    return made


def report(client: httpx.Client, made: dict[str, Any], word: str, at: datetime) -> None:
    body = {
        "outcome_id": f"{word}-{made['decision_id']}", "decision_id": made["decision_id"],
        "outcome": word, "at": at.isoformat(),
    }  # fmt: skip
    assert client.post("/v1/outcomes", json=body).is_success


def test_two_agents_never_overdraw_what_they_share(
    client: httpx.Client, settings: Settings
) -> None:
    def one(number: int) -> dict[str, Any]:
        return ask(client, ("sales", "care")[number % 2], number, AT)

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(one, range(40)))
        contacts = [each for each in made if each["action"]["id"] != "none"]
        assert len(contacts) == 7
        assert sum(each["agent"] == "sales" for each in contacts) <= 4
        words = {"sales": "bought", "care": "helped"}
        told = [(each, word) for each in contacts for word in ("bounced", words[each["agent"]])]
        list(pool.map(lambda pair: report(client, pair[0], pair[1], AT + timedelta(hours=1)), told))
        tomorrow = AT + timedelta(days=1)
        more = list(pool.map(lambda n: ask(client, "sales", 100 + n, tomorrow), range(40)))
    sold = [
        each for each in [*contacts, *more] if each["action"]["offer"] and each["agent"] == "sales"
    ]
    assert len(sold) == 4  # of the week; the day's capacity is 7
    assert_usage_is_that_of_the_log(settings)


def assert_usage_is_that_of_the_log(settings: Settings) -> None:
    """Every bucket of every counter is what the log's own entries add up to."""
    revisions = {each.id: each for each in load_workspace(settings.workspace).revisions.values()}
    memory = Memory()
    with closing(open_reader(settings)) as reader:
        for entry in reader.entries(0, 1_000):
            if entry.kind == "decision":
                decision = Decision.from_record(entry.body)
                memory.keep(decision, revisions[decision.revision])
            elif entry.kind == "outcome":
                memory.hear(OutcomeEvent.from_record(entry.body["event"]))
        usage = reader._db.rows("SELECT counter, bucket, amount FROM usage")
    assert {(c, b): a for c, b, a in usage} == {(c, b): memory.amount(c, b, b) for c, b, _ in usage}
    by_counter: dict[str, float] = {}
    for counter, _, amount in usage:
        by_counter[counter] = by_counter.get(counter, 0.0) + amount
    contacts = by_counter["capacity:phone per day"]
    assert by_counter["budget:few_promotions per week"] == 4.0
    assert by_counter["budget:money cost per month"] == 2.0 * contacts
    assert by_counter["cap:delivered deliveries per 10d"] == contacts - 7.0  # seven bounced
    assert sum(v for name, v in by_counter.items() if name.startswith("positives:")) == 7.0


EXCLUSIVE = """\
guardrails:
  apart:
    rule: exclusive
    agents: [AGENTS]
    for: 2d
"""


def place(text: str, word: str) -> tuple[int, int]:
    """Line and column of a word in a text, counted from 1."""
    before = text[: text.index(word)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def test_an_agent_may_name_only_agents_that_are_there(client: httpx.Client, submit: Submit) -> None:
    wrong = agent("care", "service", "helped", EXCLUSIVE.replace("AGENTS", "care, salse"))
    answer = client.put("/v1/agents/care", content=wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert "did you mean 'sales'?" in problem["detail"]
    assert problem["file"] == "agents/care.yaml"
    assert (problem["line"], problem["column"]) == place(wrong, "salse")
    # one that came over HTTP counts, too
    other = agent("later", "service", "heard")
    late = agent("care", "service", "helped", EXCLUSIVE.replace("AGENTS", "care, later"))
    assert client.put("/v1/agents/care", content=late).status_code == 422
    assert submit(client, "later", other).json()["changed"]
    assert submit(client, "care", late).json()["changed"]


def test_an_agent_must_keep_the_words_that_the_workspace_waits_for(
    branch: Path, tmp_path: Path, serve_settings: Serve, submit: Submit
) -> None:
    file = branch / "workspace.yaml"
    text = file.read_text().replace("after: [called]", "after: [called, helped]")
    file.write_text(text)
    with serve_settings(Settings(branch, tmp_path / "data", clock="driven")) as client:
        before = client.get("/v1/agents/care").json()
        answer = client.put("/v1/agents/care", content=agent("care", "service", "soothed"))
        assert answer.status_code == 422
        problem = answer.json()
        assert problem["file"].endswith("workspace.yaml")
        assert (problem["line"], problem["column"]) == place(text, "helped")
        assert "'helped' is no outcome" in problem["detail"]
        assert client.get("/v1/agents/care").json() == before
        helping = agent("helper", "service", "helped")  # another one's word serves as well
        assert submit(client, "helper", helping).json()["changed"]
        soothing = agent("care", "service", "soothed")
        assert submit(client, "care", soothing).json()["changed"]
