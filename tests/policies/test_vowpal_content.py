"""Whatever a caller names its features, VW reads features: no labels, no actions, no overflow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import orjson
import pytest
import vowpal_wabbit_next as vw
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.errors import ContextError, StateError
from agents.supplied import Supplied, supply
from policies.vowpal.content import MOST, dsjson, is_plain, tamed
from policies.vowpal.engine import Target
from policies.vowpal.ranker import Ranker
from policies.vowpal.shelf import Shelf

SYNTAX = [
    "_label", "_label_cost", "_label_probability", "_label_Action", "_labelIndex", "_multi",
    "_slots", "_tag", "_text", "_inc", "_id", "_skipLearn", "_outcomes", "_original_label_cost",
    "_", "__", "_slot_id", "_aux",
]  # fmt: skip
NUMBERS = [1e300, -1e300, 1e10, 2**63, -(2**63), 1e-300, 0.1234567890123, 12345678901, 0, -0.0]
ODD = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.floats(allow_nan=False),
    st.integers(-(2**63), 2**63), st.text(max_size=12),
    st.sampled_from(["NaN", "Infinity", "_multi", '"_', "a\0b", "|x :1", "1e20,", "é" * 40, "]}}"]),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from(SYNTAX),
    st.text(max_size=6),
    st.sampled_from(["é", 'é"x']),
    st.sampled_from(["a", "user", ""]),
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
FEATURES = st.lists(VALUES, max_size=3)


def vowpal(content: bytes, count: int = 1) -> Any:
    return orjson.loads(dsjson(content, count))["c"]


@pytest.mark.parametrize("key", SYNTAX)
@pytest.mark.parametrize("value", ["zz", 1, [{"x": 1}], {"x": 1}, None])
def test_syntax_is_read_as_features(key: str, value: object) -> None:
    """The same answers, and the same lessons, as with another name."""
    made = supply([{key: value, "t": "m"}], {"a": [{key: value}], "b": [{"x": 2}]})
    ranker = Ranker(0.5)
    assert ranker.probabilities(made.content, 2, [0, 1]).tolist() == [0.5, 0.5]
    for _ in range(3):
        ranker.learn(made.content, 2, [0, 1], 1, Target(-1.0, 0.5, 1.0))
    assert ranker.probabilities(made.content, 2, [0, 1]).tolist() == [0.0, 1.0]


def test_plain_content_goes_as_it_came() -> None:
    made = supply([{"n": 1.5, "who": {"age": 41}}], {"a": [{"t": [1, 2]}, {"x": True}]})
    assert is_plain(made.content, 1)
    assert dsjson(made.content, 1) == '{"c":' + made.content.decode() + "}"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1e20, MOST),
        (-1e20, -MOST),
        (12345678901, MOST),
        (-12345678901, -MOST),
        (123456789, 123456789),
        (0.12345678901234, 0.12345678901234),
        (-1e-7, -1e-7),
        (True, True),
    ],
)
def test_a_number_beyond_what_vw_can_square_counts_as_the_most(value: float, read: float) -> None:
    for features in ({"x": value}, {"x": [value, 1]}):
        (shared,) = vowpal(supply([features], {"a": []}).content)["FromUrl"]
        found = shared["x"] if "x" in features and shared["x"] == read else shared["x"][0]
        assert found == read


NAMES = ["é", "日本", "é\\", 'é"x', "é\n", "\x80", "𝴇"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("group", [{"x": 1}, [1, 2], {}, []])
def test_a_group_named_beyond_ascii_is_renamed(name: str, group: object) -> None:
    made = supply([{"user": {name: group}}], {"a": [{name: group, "b": name}]})
    assert not is_plain(made.content, 1)
    written = vowpal(made.content)
    assert written["FromUrl"] == [{"user": {f".{name}": group}}]
    assert written["_multi"][0]["j"] == [{f".{name}": group, "b": name}]
    escaped = json.dumps(orjson.loads(made.content), separators=(",", ":")).encode()
    assert not is_plain(escaped, 1)


@pytest.mark.parametrize("values", [[{"é": 1}, []], [[{"é": 1}], [1]], [1, [2]], [[1]]])
def test_a_list_in_a_list_is_never_shown_to_vw(values: list[object]) -> None:
    """It would be filed by the last key before it, which may be beyond ASCII."""
    assert not is_plain(supply([], {"a": values}).content, 1)


def test_texts_beyond_ascii_go_as_they_came() -> None:
    made = supply([{"größe": "é", "é": 1, "t": ["é"]}], {"日本": [{"n": "日"}]})
    assert is_plain(made.content, 1)


TRAP = """
import vowpal_wabbit_next as vw
parser = vw.DSJsonFormatParser(vw.Workspace(["--cb_explore_adf", "--quiet"]))
parser.parse_json('{"c":{"FromUrl":[{"\\u00e9":{"x":1}}],"_multi":[{"a":1}]}}')
"""


def test_such_a_group_ends_a_process_that_shows_it_to_vw() -> None:
    """In a process of its own; if this fails the library is mended, and names may stay."""
    done = subprocess.run(
        [sys.executable, "-c", TRAP], capture_output=True, timeout=60, check=False
    )
    assert done.returncode < 0


def test_lists_that_vw_refuses() -> None:
    features = {
        "likes": ["tea", "_multi"],
        "on": [True, False],
        "grid": [[1, 2], [3]],
        "none": [None],
    }
    content = tamed(supply([features], {"a": [["x"], []]}).content)
    assert orjson.loads(content)["c"] == {
        "FromUrl": [
            {
                "likes": [{"tea": True, "._multi": True}],
                "on": [1, 0],
                "grid": [1, 2, 3],
                "none": [None],
            }
        ],
        "_multi": [{"_tag": "a", "i": {"constant": 1, "id": "a"}, "j": [{"x": True}]}],
    }


def test_what_is_nested_too_deeply_is_left_out() -> None:
    deep: Any = {"x": 1, "_id": 2}
    for _ in range(200):
        deep = {"k": deep}
    made = supply([deep], {"a": []})
    assert tamed(made.content).count('"k"') == 30
    assert Ranker(0.5).probabilities(made.content, 1, [0]).tolist() == [1.0]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b'{"_multi":3}', b'{"_multi":["a"]}', b'{"_multi":null}',
     b'{"FromUrl":' + b'{"":' * 300_000, b'{"FromUrl":"\xff","_multi":[{}]}',
     b'{"FromUrl":[1],"_multi":[{"a":1}]}},{"', b'{"_multi":[]}'],
)  # fmt: skip
def test_what_is_no_content_is_refused(content: bytes) -> None:
    ranker = Ranker(0.5)
    with pytest.raises(StateError, match="expected|VW"):
        ranker.probabilities(content, 1, [0])


@pytest.mark.parametrize("where", ["moment", "action", "deep"])
def test_a_tag_of_the_callers_is_a_feature_on_every_way(where: str) -> None:
    """It looks like what names an action; what is beside it must not decide whether it counts."""
    odd: dict[str, object] = {"x": 1, "of": [{"y": 1}, {"_tag": "red"}], "_tag": "blue"}
    shared: list[object] = [odd] if where == "moment" else []
    told: list[object] = [{"deep": odd}] if where == "deep" else [odd]
    made = supply(shared, {"a": [{"x": 2}] if where == "moment" else told, "b": [{"x": 3}]})
    assert dsjson(made.content, 2) == tamed(made.content)
    assert b"._tag" in dsjson(made.content, 2).encode()
    assert Shelf(vw.DSJsonFormatParser(Ranker(0.5)._workspace)).take(made.content, 2, [0, 1]) == []


@settings(max_examples=150, deadline=None)
@given(shared=FEATURES, first=FEATURES, second=FEATURES)
def test_what_is_shown_as_it_came_is_what_would_be_written_anew(
    shared: list[Any], first: list[Any], second: list[Any]
) -> None:
    """The fast way and the slow one tell VW the same."""
    try:
        made = supply(shared, {"a": first, "b": second})
    except ContextError:
        return
    assume(is_plain(made.content, 2))
    try:
        fast = _features(dsjson(made.content, 2))
    except RuntimeError:
        return  # such a list that VW refuses; then it is written anew
    assert fast == _features(tamed(made.content)), made.content


@settings(max_examples=100, deadline=None)
@given(shared=FEATURES, first=FEATURES, second=FEATURES)
def test_any_features_are_answered_learned_and_leave_the_model_whole(
    shared: list[Any], first: list[Any], second: list[Any]
) -> None:
    try:
        made = supply(shared, {"a": first, "b": second})
    except ContextError:
        return  # numbers that JSON does not hold
    ranker = Ranker(0.5)
    for drawn in (0, 1, 0):
        answer = ranker.probabilities(made.content, 2, [0, 1])
        assert abs(float(answer.sum()) - 1.0) < 1e-9
        ranker.learn(made.content, 2, [0, 1], drawn, Target(float(drawn), 0.5, 1.0))
    assert _is_whole(ranker), made.content


@settings(max_examples=80, deadline=None)
@given(content=st.binary(max_size=60))
def test_any_bytes_are_answered_or_refused(content: bytes) -> None:
    ranker = Ranker(0.5)
    try:
        answer = ranker.probabilities(Supplied(("a",), content).content, 1, [0])
    except StateError:
        return
    assert answer.tolist() == [1.0]


def _features(text: str) -> list[Any]:
    """Return what VW has read, row by row: the group, hash and value of each feature."""
    rows = vw.DSJsonFormatParser(vw.Workspace(["--cb_explore_adf", "--quiet"])).parse_json(text)
    return [
        sorted(
            (group.feat_group_index, index, value)
            for group in row
            for index, value in zip(group.indices, group.values, strict=True)
        )
        for row in rows
    ]


def _is_whole(ranker: Ranker) -> bool:
    """Say whether a model still learns: after some plain lessons it knows which is better."""
    plain = supply([{"t": "m"}], {"p": [{"x": 1}], "q": [{"y": 1}]})
    for number in range(40):
        drawn = number % 2
        ranker.learn(plain.content, 2, [0, 1], drawn, Target(-float(drawn), 0.5, 1.0))
    weights = ranker._workspace.readable_model()
    return not re.search(r"\b(inf|nan)\b", weights) and ranker.probabilities(
        plain.content, 2, [0, 1]
    ).tolist() == [0.0, 1.0]
