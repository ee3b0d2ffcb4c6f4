"""DSJSON comes in with its counts and probabilities, and goes out as Vowpal Wabbit reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import vowpal_wabbit_next as vw

from agents.errors import LogError
from agents.log import read_row
from agents.mask import ALWAYS_ACT
from experiments.logs import from_table
from experiments.logs.dsjson_export import Exported, export_dsjson
from experiments.logs.importers import dsjson
from experiments.logs.importers.base import FILE, joined, log_file
from experiments.logs.importers.dsjson import DsjsonLog

DATA = Path(__file__).parents[3] / "shared" / "data" / "dsjson"
Event = dict[str, Any]

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the samples are not part of the project: ../shared/data/dsjson"
)


def event(number: int = 0, **changes: Any) -> Event:
    """An event of three actions, of which the second was chosen with probability 0.6."""
    made: Event = {
        "_label_cost": -2.0, "_label_probability": 0.6, "_label_Action": 2, "_labelIndex": 1,
        "o": [{"v": 2.0, "EventId": f"e{number}", "ActionTaken": False}],
        "Timestamp": "2021-02-04T16:31:29.2461239Z", "Version": "1", "EventId": f"e{number}",
        "a": [2, 3, 1], "p": [0.6, 0.3, 0.1], "VWState": {"m": "model"},
        "c": {
            "User": [{"age": 30, "plan": "gold"}, {"likes": ["tea", "rye"]}], "tod": "am",
            "_multi": [
                {"_tag": "tea", "j": {"hot": True}}, {"i": {"id": "rye"}}, {"t": {"x": "y"}},
            ],
        },
    }  # fmt: skip
    made.update(changes)
    return {key: value for key, value in made.items() if value is not None}


def write(folder: Path, *events: Event | bytes) -> Path:
    file = folder / "log.dsjson"
    lines = [each if isinstance(each, bytes) else orjson.dumps(each) for each in events]
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def read(*files: Path) -> tuple[pa.Table, DsjsonLog]:
    log = DsjsonLog(files)
    return joined(log.pieces()), log


def test_an_event_is_a_decision(tmp_path: Path) -> None:
    table, source = read(write(tmp_path, event()))
    log = from_table(table)
    assert log.actions == ("none", "tea", "rye", "t.x=y")
    np.testing.assert_allclose(log.distribution, [[0.0, 0.1, 0.6, 0.3]])
    assert log.allowed.tolist() == [[False, True, True, True]]
    assert log.actions[log.action[0]] == "rye"
    assert (log.reward.tolist(), log.outcomes.tolist()) == ([2.0], [("reward",)])
    assert log.contexts[0]["features"] == {
        "User.age": 30, "User.plan": "gold", "User.likes": ["tea", "rye"], "tod": "am",
    }  # fmt: skip
    assert str(log.at[0]) == "2021-02-04T16:31:29.246123"
    assert (log.decision_id[0], log.snapshot[0]) == ("e0", "model")
    assert table["kept"].to_pylist() == [None]
    assert source.counts.learnable == 1
    supplied = read_row(table.to_pylist()[0]).context.supplied
    assert supplied is not None
    assert (supplied.ids, supplied.barred, supplied.slot) == (("tea", "rye", "t.x=y"), {}, "")
    assert supplied.content == orjson.dumps(event()["c"])


def test_each_line_is_counted_as_what_it_is(tmp_path: Path) -> None:
    table, source = read(
        write(
            tmp_path,
            event(0),
            {"RewardValue": 1.0, "EnqueuedTimeUtc": "2021-03-08T19:48:54Z", "EventId": "gone"},
            event(1, _skipLearn=True),
            event(2, DeferredAction=True),
            event(3, DeferredAction=True, o=[{"v": 2.0, "EventId": "e3", "ActionTaken": True}]),
            event(4, _label_cost=None, _label_probability=None, _labelIndex=None),
            b"  ",
        )
    )
    counts = source.counts
    assert (counts.read, counts.learnable, counts.dangling) == (6, 2, 1)
    assert (counts.inactive, counts.unlabelled, counts.skipped) == (2, 1, 3)
    assert counts.decisions == 5
    log = from_table(table)
    assert log.decision_id.tolist() == ["e0", "e3"]
    assert (log.given_back_rows, log.open_rows) == (2, 1)


def test_thinned_rows_say_what_they_stand_for(tmp_path: Path) -> None:
    table, source = read(
        write(
            tmp_path,
            event(0, _label_probability=0.3),
            event(1, pdrop=0.2),
            event(2, _label_probability=0.15, pdrop=0.5),
            event(3, _label_probability=0.6000000238418579),
        )
    )
    assert table["kept"].to_pylist() == [pytest.approx(0.5), 0.8, pytest.approx(0.125), None]
    assert source.counts.thinned == 3
    np.testing.assert_allclose(table["propensity"].to_numpy(), 0.6)


def test_the_real_reward_counts_not_the_apprentices(tmp_path: Path) -> None:
    table, _ = read(write(tmp_path, event(_label_cost=-1.0, _original_label_cost=-7.5)))
    assert table["reward"].to_pylist() == [7.5]


def test_float32_is_put_right_and_nothing_else(tmp_path: Path) -> None:
    rounded = [float(np.float32(p)) for p in (0.6, 0.3, 0.1)]
    near, far = event(0, p=rounded), event(1, p=[0.6, 0.3, 0.2])
    table, _ = read(write(tmp_path, near, far))
    assert sum(table["distribution"][0].as_py()) == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(LogError, match="row 1: distribution: expected a sum of 1, got 1.1"):
        from_table(table)


def test_an_action_that_was_not_in_the_request_is_barred(tmp_path: Path) -> None:
    table, _ = read(write(tmp_path, event(a=[2, 3], p=[0.6, 0.4])))
    assert table["mask"].to_pylist() == [[ALWAYS_ACT, "not in the request", None, None]]
    assert table["distribution"].to_pylist() == [[0.0, 0.0, 0.6, 0.4]]
    supplied = read_row(table.to_pylist()[0]).context.supplied
    assert supplied is not None
    assert supplied.barred == {"tea": "not in the request"}


def test_an_action_that_changes_is_in_each_row_as_it_was(tmp_path: Path) -> None:
    dearer = event(1)
    dearer["c"] = {
        **dearer["c"],
        "_multi": [{"_tag": "tea", "price": 4}, *dearer["c"]["_multi"][1:]],
    }
    table, _ = read(write(tmp_path, event(0), dearer))
    out = exported(table, tmp_path)
    assert [each["c"] for each in out] == [event(0)["c"], dearer["c"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": [1, 2, 3]}, "_labelIndex: expected 0, as `a` has it first"),
        ({"_labelIndex": "0"}, "_labelIndex: expected"),
        ({"_label_Action": 9}, "_label_Action: expected"),
        ({"a": [True, 2]}, "a: expected different numbers"),
        ({"Timestamp": "0001-01-01T00:00:00+14:00"}, "Timestamp: expected"),
        (
            {"_outcomes": ["x"], "c": {"_multi": [{"_tag": "a"}], "_slots": [{}]}},
            "c._slots, _outcomes: expected lists of objects",
        ),
        (
            {"c": {"_multi": [{}] * 10_001}},
            "c._multi: expected at most 10,000 actions in a row, got 10,001",
        ),
        ({"a": [2, 2, 3]}, "a: expected different numbers from 1 to 3"),
        ({"a": [2, 4, 3]}, "a: expected different numbers from 1 to 3"),
        ({"p": [0.6, 0.4]}, "p: expected 3 probabilities, got 2"),
        ({"p": None}, "p: expected a list of probabilities, got None"),
        ({"_label_probability": 0.9}, "_label_probability: expected above 0 and at most p"),
        ({"_label_probability": -0.1}, "_label_probability: expected above 0 and at most p"),
        ({"pdrop": 1.0}, "pdrop: expected a probability below 1, got 1.0"),
        ({"_label_cost": "low"}, "_label_cost: expected a number, got 'low'"),
        ({"Timestamp": "noon"}, "Timestamp: expected an ISO 8601 instant"),
        ({"EventId": None}, "EventId: expected text, got None"),
        ({"c": {"User": {}}}, "c: expected an object with the actions as `_multi`"),
        ({"c": None}, "expected an event with a context `c`, or a dangling reward"),
        ({"_outcomes": []}, "c._slots: expected a list of slots"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, change: Event, message: str) -> None:
    file = write(tmp_path, event(0), event(1, **change))
    with pytest.raises(LogError, match=rf"log.dsjson, row 1: {message}"):
        read(file)


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"log.dsjson, row 0: expected JSON"):
        read(write(tmp_path, b'{"c": NaN}'))
    with pytest.raises(LogError, match=r"row 0: expected a JSON object"):
        read(write(tmp_path, b"[1]"))
    with pytest.raises(LogError, match=r"gone.json: expected a DSJSON file"):
        read(tmp_path / "gone.json")


def test_millions_of_actions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def many(number: int) -> Event:
        made = event(number)
        made["c"] = {"_multi": [{"_tag": f"{number}-{k}"} for k in range(3)]}
        return made

    file = write(tmp_path, *(many(k) for k in range(34)))
    assert read(file)[0].num_rows == 34
    monkeypatch.setattr(dsjson, "MOST_LISTED", 100)
    with pytest.raises(LogError, match=r"row 33: actions: expected at most .* ones, got 102"):
        read(file)


def exported(table: pa.Table, folder: Path) -> list[Event]:
    """Write a log, and return the events of its export."""
    with log_file(folder / "out" / FILE, whole=True) as part:
        part.write(table)
    export_dsjson(folder / "out", folder / "out.dsjson")
    return [orjson.loads(line) for line in (folder / "out.dsjson").read_bytes().splitlines()]


def test_what_goes_out_is_what_came_in(tmp_path: Path) -> None:
    events = [
        event(0), event(1, _skipLearn=True), event(2, _label_probability=0.3), event(3, pdrop=0.5),
        event(4, a=[2, 3], p=[0.6, 0.4]),
    ]  # fmt: skip
    table, _ = read(write(tmp_path, *events))
    out = exported(table, tmp_path)
    assert all(each["c"] == events[0]["c"] for each in out)
    assert out[0]["a"] == [2, 1, 3]
    assert out[0]["p"] == pytest.approx([0.6, 0.1, 0.3])
    assert [each.get("_skipLearn") for each in out] == [None, True, None, None, None]
    labels = [each["_label_probability"] for each in out]
    assert labels == pytest.approx([0.6, 0.6, 0.3, 0.3, 0.6])
    assert (out[4]["a"], out[4]["_labelIndex"], out[4]["p"]) == ([2, 3], 1, [0.6, 0.4])
    again, _ = read(tmp_path / "out.dsjson")
    assert again["kept"].to_pylist()[2:4] == pytest.approx([0.5, 0.5])
    assert again["reward"].equals(table["reward"])
    assert again["decision_id"].equals(table["decision_id"])


def test_open_decisions_do_not_go_out(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / FILE)
    done = export_dsjson(tmp_path, tmp_path / "out.dsjson")
    assert done == Exported(lines=280, rows=280, still_open=20)


def test_our_own_log_is_read_by_vowpal_wabbit(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / FILE)
    export_dsjson(tmp_path, tmp_path / "out.dsjson")
    found = [single(parsed) for parsed in parse(tmp_path / "out.dsjson", slots=False)]
    rows = [row for row in table.to_pylist() if row["closed_at"] is not None]
    assert any(why is not None for row in rows for why in row["mask"])
    for (place, count, cost, probability), row in zip(found, rows, strict=True):
        names = [n for n, why in zip(row["actions"], row["mask"], strict=True) if why is None]
        assert (names[place], count) == (row["action"], len(names))
        assert cost == pytest.approx(-row["reward"], abs=1e-5)
        assert probability == pytest.approx(row["propensity"], rel=1e-6)


def parse(file: Path, *, slots: bool) -> list[list[Any]]:
    """Read every event of a file with Vowpal Wabbit's own parser."""
    workspace = vw.Workspace(["--ccb_explore_adf" if slots else "--cb_explore_adf", "--quiet"])
    parser = vw.DSJsonFormatParser(workspace)
    lines = (line for line in file.read_text().splitlines() if '"c":' in line)
    return [parser.parse_json(line) for line in lines]


def single(examples: list[Any]) -> tuple[int, int, float, float]:
    """The labelled action's place, the number of actions, cost and probability of one choice."""
    labels = [example.get_label().label for example in examples[1:]]
    (place,) = [k for k, label in enumerate(labels) if label is not None]
    _, cost, probability = labels[place]
    return place, len(labels), cost, probability


def several(examples: list[Any]) -> list[tuple[float, int, dict[int, float]]]:
    """Cost, chosen action and probabilities by action of every slot."""
    found = []
    for example in examples:
        label = example.get_label()
        if label.outcome is not None:
            cost, pairs = label.outcome
            found.append((cost, pairs[0][0], dict(pairs)))
    return found


def features(examples: list[Any]) -> list[dict[int, list[tuple[int, float]]]]:
    """What each example is made of: indices and values by namespace."""
    return [
        {
            group: sorted(zip(example[group].indices, example[group].values, strict=True))
            for group in example.feat_group_indices
        }
        for example in examples
    ]


@needs_data
@pytest.mark.parametrize("name", ["coffee_example.dsjson", "dsjson_cb.json"])
def test_samples_go_out_as_vowpal_wabbit_read_them(tmp_path: Path, name: str) -> None:
    table, source = read(DATA / name)
    exported(table, tmp_path)
    before, after = parse(DATA / name, slots=False), parse(tmp_path / "out.dsjson", slots=False)
    assert len(before) == len(after) == source.counts.learnable
    for was, now in zip(before, after, strict=True):
        assert single(now)[:3] == single(was)[:3]
        assert single(now)[3] == pytest.approx(single(was)[3], rel=1e-6)
        assert features(now) == features(was)


@needs_data
@pytest.mark.parametrize("name", ["cookedlogs.json", "learnablelogs.json"])
def test_samples_of_several_slots_go_out_as_they_were(tmp_path: Path, name: str) -> None:
    table, _ = read(DATA / name)
    exported(table, tmp_path)
    before, after = parse(DATA / name, slots=True), parse(tmp_path / "out.dsjson", slots=True)
    assert len(before) == len(after) == 10
    for was, now in zip(before, after, strict=True):
        assert features(now) == features(was)
        for (cost, chosen, p), (cost_was, chosen_was, p_was) in zip(
            several(now), several(was), strict=True
        ):
            assert (cost, chosen) == (cost_was, chosen_was)
            assert p == pytest.approx(p_was, rel=1e-6)


@needs_data
@pytest.mark.parametrize(
    ("name", "read_lines", "learnable", "skipped"),
    [("cookedlogs.json", 20, 10, 10), ("learnablelogs.json", 10, 10, 0),
     ("skippedlogs.json", 10, 0, 10), ("dsjson_cb.json", 23, 23, 0)],
)  # fmt: skip
def test_the_samples_counts(name: str, read_lines: int, learnable: int, skipped: int) -> None:
    _, source = read(DATA / name)
    counts = source.counts
    assert (counts.read, counts.learnable, counts.skipped) == (read_lines, learnable, skipped)


def test_slots_are_decisions_of_one_customer(tmp_path: Path) -> None:
    slots: Event = {
        "Timestamp": "2021-02-22T03:29:42.7", "Version": "1", "pdrop": 0.5,
        "c": {"u": {"id": "k"}, "_multi": [{"_tag": "a"}, {"_tag": "b"}],
              "_slots": [{"_id": "s1", "size": "big"}, {"_id": "s2", "size": "small"}]},
        "_outcomes": [
            {"_label_cost": -1.0, "_id": "s1", "_a": [1, 0], "_p": [0.8, 0.2], "_o": []},
            {"_label_cost": 0.0, "_id": "s2", "_a": [0], "_p": [1.0], "_o": []},
        ],
    }  # fmt: skip
    table, _ = read(write(tmp_path, slots))
    log = from_table(table)
    assert log.decision_id.tolist() == ["s1", "s2"]
    assert set(log.customer) == {"s1"}
    assert log.allowed[:, 1:].tolist() == [[True, True], [True, False]]
    assert [c["features"]["slot.size"] for c in log.contexts] == ["big", "small"]
    assert table["kept"].to_pylist() == [0.5, 0.5]
    supplied = [read_row(row).context.supplied for row in table.to_pylist()]
    assert [each.slot for each in supplied if each is not None] == ["1", "2"]
    assert supplied[1] is not None
    content = orjson.loads(supplied[1].content)
    assert content == {
        "u": {"id": "k"}, "_multi": slots["c"]["_multi"], "slot": {"size": "small"},
    }  # fmt: skip
    (out,) = exported(table, tmp_path)
    assert out["c"] == slots["c"]
    assert out["c"]["_slots"] == slots["c"]["_slots"]
    assert (out["pdrop"], out["_outcomes"][0]["_p"]) == (0.5, [0.8, 0.2])
