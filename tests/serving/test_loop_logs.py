"""From a live loop to its log, to DSJSON, and back: nothing that a learner sees is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
import vowpal_wabbit_next as vw

from agents.decisions import Decision, OutcomeEvent
from agents.load import load_workspace
from agents.revision import Revision
from experiments.logs import read_log
from experiments.logs.dsjson_export import Exported, export_dsjson
from experiments.logs.importers.base import FILE, log_file
from experiments.logs.importers.dsjson import DsjsonLog
from experiments.logs.importers.loops import Loop
from experiments.targets.supplied import first_target
from policies.base import Lesson
from policies.teaching.wait import Ended, lesson_of_ended
from serving.keeping.export import export_log
from serving.learning.history import read_lessons
from serving.ledger import open_reader
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Json = dict[str, Any]
RANK = "/personalizer/v1.0/rank"
SLOTS = "/personalizer/v1.1-preview.3/multislot"
DRINKS: list[Json] = [
    {"id": "tea", "features": [{"hot": True}, {"price": 2}]},
    {"id": "rye", "features": [{"proof": {"abv": 0.4}}]},
    {"id": "juice", "features": [{"hot": False}]},
]


def ask(client: httpx.Client, number: int, **more: Any) -> Json:
    body = {
        "eventId": f"e{number}", "actions": DRINKS,
        "contextFeatures": [{"time": "am" if number % 2 else "pm"}, {"user": {"age": 30 + number}}],
        **more,
    }  # fmt: skip
    answer = client.post(RANK, json=body)
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


@pytest.fixture
def log(open_loops: Serve, tmp_path: Path, ledger_url: str) -> Path:
    """The log of twelve events of one place, of which one was never shown, and one of two slots."""
    with open_loops() as client:
        for number in range(12):
            excluded = ["rye"] if number % 3 == 0 else []
            ask(client, number, excludedActions=excluded, deferActivation=number == 7)
            if number % 2:
                told = client.post(
                    f"/personalizer/v1.0/events/e{number}/reward", json={"value": number / 20}
                )
                assert told.status_code == 204, told.text
        body = {
            "eventId": "page", "actions": DRINKS, "contextFeatures": [{"time": "am"}],
            "slots": [
                {"id": "top", "features": [{"size": 3}], "baselineAction": "juice"},
                {"id": "side", "baselineAction": "tea"},
            ],
        }  # fmt: skip
        assert client.post(f"{SLOTS}/rank", json=body).status_code == 201
        told = client.post(
            f"{SLOTS}/events/page/reward", json={"reward": [{"slotId": "side", "value": 0.5}]}
        )
        assert told.status_code == 204, told.text
    settings = Settings(tmp_path, tmp_path / "data", ledger_url=ledger_url)
    later = datetime.now(UTC) + timedelta(days=1)
    assert export_log(settings, tmp_path / "log", now=later) == 14
    return tmp_path / "log"


def lessons_of(log: Path, revision: Revision) -> list[Json]:
    return [plain(each) for each in read_lessons(log, revision)]


def plain(lesson: Lesson) -> Json:
    supplied = lesson.context.supplied
    assert supplied is not None
    return {
        "ids": supplied.ids, "content": supplied.content, "action": lesson.action,
        "allowed": lesson.mask.indices.tolist(), "propensity": lesson.propensity,
        "labels": lesson.labels, "first": lesson.first,
    }  # fmt: skip


def live(data: Settings, revision: Revision) -> dict[str, Lesson]:
    """What the learner of the server learns of each decision, by its id."""
    bodies: dict[str, Decision] = {}
    events: dict[str, list[OutcomeEvent]] = {}
    with closing(open_reader(data)) as ledger:
        for entry in ledger.entries(0, 1_000):
            if entry.kind == "decision":
                decision = Decision.from_record(ledger.whole(entry.body))
                bodies[decision.decision_id] = decision
            if entry.kind == "outcome":
                event = OutcomeEvent.from_record(entry.body["event"])
                events.setdefault(event.decision_id, []).append(event)
    return {
        name: lesson_of_ended(Ended(decision, revision), events.get(name, []))
        for name, decision in bodies.items()
    }


def test_a_log_teaches_what_the_server_has_learned(
    log: Path, own_loops: Path, tmp_path: Path, ledger_url: str
) -> None:
    revision = load_workspace(own_loops).revisions["front_page"]
    rows = read_log(log, include_open=True).decision_id.tolist()
    learned = live(Settings(tmp_path, tmp_path / "data", ledger_url=ledger_url), revision)
    told = lessons_of(log, revision)
    assert len(learned) == 14
    assert told == [plain(learned[name]) for name in [*rows[:7], *rows[8:]]]  # one was never shown


def test_dsjson_gives_the_same_lessons_back(log: Path, own_loops: Path, tmp_path: Path) -> None:
    revision = load_workspace(own_loops).revisions["front_page"]
    assert export_dsjson(log, tmp_path / "out.dsjson") == Exported(lines=13, rows=14)
    source = DsjsonLog((tmp_path / "out.dsjson",), "front_page", Loop(revision))
    with log_file(tmp_path / "again" / FILE, whole=True) as part:
        for piece in source.pieces():
            part.write(piece.table)
    assert (source.counts.learnable, source.counts.inactive) == (12, 1)
    before, after = lessons_of(log, revision), lessons_of(tmp_path / "again", revision)
    for was, now in zip(before, after, strict=True):
        assert orjson.loads(now.pop("content")) == orjson.loads(was.pop("content"))
        assert now.pop("propensity") == pytest.approx(was.pop("propensity"), rel=1e-12)
        assert now == was


def test_vowpal_wabbit_reads_what_was_drawn(log: Path, tmp_path: Path) -> None:
    export_dsjson(log, tmp_path / "out.dsjson")
    lines = (tmp_path / "out.dsjson").read_text().splitlines()
    rows = read_log(log, include_open=True)  # the deferred one, too
    parser = vw.DSJsonFormatParser(vw.Workspace(["--cb_explore_adf", "--quiet"]))
    assert [orjson.loads(line).get("_skipLearn") for line in lines].count(True) == 1
    assert [orjson.loads(line)["EventId"] for line in lines[:12]] == [f"e{n}" for n in range(12)]
    for row, line in enumerate(lines[:12]):
        _, *actions = parser.parse_json(line)
        labels: list[Any] = [cast("Any", example.get_label()).label for example in actions]
        (place,) = [k for k, label in enumerate(labels) if label is not None]
        assert [each["id"] for each in DRINKS][place] == rows.actions[rows.action[row]]
        assert labels[place][1] == pytest.approx(-rows.reward[row], abs=1e-6)
        assert labels[place][2] == pytest.approx(rows.propensity[row], rel=1e-6)


def test_slots_are_one_event_again(log: Path, tmp_path: Path) -> None:
    export_dsjson(log, tmp_path / "out.dsjson")
    line = (tmp_path / "out.dsjson").read_text().splitlines()[-1]
    rows = read_log(log)
    top, side = orjson.loads(line)["c"]["_slots"]
    assert top == {"_id": rows.decision_id[-2], "slot": [{"size": 3}]}
    assert side["_id"] == rows.decision_id[-1]
    parser = vw.DSJsonFormatParser(vw.Workspace(["--ccb_explore_adf", "--quiet"]))
    labels = [cast("Any", example.get_label()) for example in parser.parse_json(line)]
    found = [label.outcome for label in labels]
    drawn = [outcome for outcome in found if outcome is not None]
    names = [each["id"] for each in DRINKS]
    for row, (cost, pairs) in zip((-2, -1), drawn, strict=True):
        assert names[pairs[0][0]] == rows.actions[rows.action[row]]
        assert pairs[0][1] == pytest.approx(rows.propensity[row], rel=1e-6)
        assert cost == pytest.approx(-rows.reward[row], abs=1e-6)


def test_a_live_log_has_the_features_of_its_moments(log: Path) -> None:
    rows = read_log(log)
    assert rows.actions == ("none", "tea", "rye", "juice")
    features = [context["features"] for context in rows.contexts]
    assert features[0]["FromUrl.time"] == "pm"
    assert features[-2]["slot.size"] == 3
    shown = [rows.actions[column] for column in first_target(rows).argmax(axis=1)]
    assert shown[:3] == ["tea", "tea", "tea"]
    assert shown[-2] == "juice"
    taken = rows.actions[rows.action[-2]] == "tea"
    assert shown[-1] == ("rye" if taken else "tea")


def test_events_of_more_features_than_a_rank_may_have_are_counted_and_not_learned(
    own_loops: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A learner takes time with the square of them; the server would refuse to be asked so."""
    lines = []
    for count in (3, 497, 600):
        content = {
            "FromUrl": [{f"f{number}": number for number in range(count)}],
            "_multi": [{"_tag": each["id"], "j": each["features"]} for each in DRINKS],
        }
        lines.append({
            "Timestamp": "2026-03-02T12:00:00Z", "EventId": f"e{count}", "c": content,
            "a": [1, 2, 3], "p": [0.8, 0.1, 0.1], "_label_cost": -1, "_label_probability": 0.8,
            "_label_Action": 1, "_labelIndex": 0,
        })  # fmt: skip
    (tmp_path / "wide.dsjson").write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    revision = load_workspace(own_loops).revisions["front_page"]
    source = DsjsonLog((tmp_path / "wide.dsjson",), "front_page", Loop(revision))
    with log_file(tmp_path / "wide" / FILE, whole=True) as part:
        for piece in source.pieces():
            part.write(piece.table)
    assert len(lessons_of(tmp_path / "wide", revision)) == 2
    assert "1 decisions of front_page have more than 500 features" in caplog.text
