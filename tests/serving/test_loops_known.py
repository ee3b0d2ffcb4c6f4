"""A list of actions that came before is read as if it had not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import NextbestError
from agents.spec.supplied import SuppliedSpec
from serving.api.strict import BodyError
from serving.loops import asked as asking
from serving.loops.asked import Asked, read_rank
from serving.loops.known import MOST, KnownLists

SPEC = SuppliedSpec(channel="site", kind="promotion", customer="user.id")
ACTIONS = [{"id": f"a{n}", "features": [{"topic": "é", "n": n}, {"x": [1.5]}]} for n in range(5)]
Write = Callable[[Any], str]


def body(**changed: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"contextFeatures": [{"user": {"id": "v-1", "hour": 3}}]}
    return asked | {"actions": ACTIONS, "eventId": "e-1"} | changed


def compact(asked: Any) -> str:
    return json.dumps(asked, separators=(",", ":"), ensure_ascii=False)


def both(raw: bytes, lists: KnownLists, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Read a body by what is known, and as a whole; return what came of each."""
    found: list[object] = []
    for known in (lists, Ignorant()):
        monkeypatch.setattr(asking, "_KNOWN", known)
        try:
            found.append(read_rank(raw, SPEC))
        except (NextbestError, BodyError) as error:
            found.append(str(error))
    return found


class Ignorant(KnownLists):
    """Knows nothing, so that every body is read as a whole."""

    def take(self, raw: bytes) -> None:
        return None


def know(write: Write, monkeypatch: pytest.MonkeyPatch) -> KnownLists:
    """Return lists that hold one as a whole, and its actions."""
    lists = KnownLists()
    monkeypatch.setattr(asking, "_KNOWN", lists)
    raw = write(body()).encode()
    for kept in (0, 1, 1):
        read_rank(raw, SPEC)
        assert len(lists._kept) == kept, "it came once, and more than once"
    return lists


@pytest.mark.parametrize("write", [compact, json.dumps])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"eventId": "e-2", "contextFeatures": [{"user": {"id": "v-2"}}, {"b": True}]},
        {"excludedActions": ["a1", "b"], "deferActivation": True},
        {"excludedActions": [each["id"] for each in ACTIONS]},
        {"contextFeatures": [None]},
        {"contextFeatures": [{"n": list(range(600))}]},
        {"contextFeatures": [{"said": '"actions":'}]},
        {"contextFeatures": [{"user": {"id": "x" * 200}}]},
        {"eventId": "a/b"},
        {"actions": ACTIONS[:4]},
        {"actions": [*ACTIONS, ACTIONS[0]]},
        {"actions": []},
    ],
)
def test_a_known_list_is_read_as_a_new_one(
    write: Write, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = know(write, monkeypatch)
    one, other = both(write(body(**changed)).encode(), lists, monkeypatch)
    assert one == other
    if isinstance(one, Asked) and isinstance(other, Asked):
        assert one.supplied.content == other.supplied.content


def test_a_list_that_stands_elsewhere_is_not_that_of_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists, known = know(compact, monkeypatch), compact(ACTIONS)
    for raw in (
        f'{{"contextFeatures":[{{"actions":{known}}}]}}',
        f'{{"contextFeatures":[{{"actions":{known}}}],"actions" :[]}}',
        f'{{"x\\"actions":{known},"\\u0061ctions":[]}}',
        f'{{"actions":{known},"actions":{known}}}',
        f'{{"actions":{known}',
        f'{{"actions":{known}[]}}',
        f'{{"actions":{known},"eventId":1}}',
        f'[{{"actions":{known}}}]',
        f'"actions":{known}',
    ):
        one, other = both(raw.encode(), lists, monkeypatch)
        assert one == other, raw
        assert isinstance(one, str), "it is refused"


def test_fewer_may_be_allowed_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    know(compact, monkeypatch)
    few = SPEC.model_copy(update={"at_most": 4})
    with pytest.raises(NextbestError, match="expected 1 to 4, got 5"):
        read_rank(compact(body()).encode(), few)


def test_no_more_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = know(compact, monkeypatch)
    for n in range(MOST + 3):
        raw = compact(body(actions=[{"id": f"b{n}", "features": [{"n": n}]}])).encode()
        for _ in range(2):
            read_rank(raw, SPEC)
        assert lists._kept[-1].ids == (f"b{n}",)
    assert all(each.ids[0] != "a0" for each in lists._kept)
    assert len(lists._kept) == MOST


# What is told apart by its bytes only where it is surely what it seems to be.
_TEXTS = st.text('{}[]",:\\ aé\x00', max_size=6) | st.sampled_from(['},{"id":"', "}]", "id"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_FEATURES = st.dictionaries(_TEXTS, _VALUES, max_size=3)
_ONE = st.fixed_dictionaries(
    {"id": _TEXTS, "features": st.lists(_FEATURES, max_size=3)}, optional={"x": _VALUES}
)
_OTHER = st.fixed_dictionaries({"features": st.lists(_FEATURES, max_size=3), "id": _TEXTS})
_LISTS = st.lists(_ONE, max_size=4) | st.lists(_OTHER, max_size=4) | st.lists(_VALUES, max_size=3)
_STYLES = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :"), (",\n", ": ")])


@settings(max_examples=150, derandomize=True)
@given(
    data=st.lists(
        st.tuples(_LISTS, st.lists(_FEATURES, max_size=2), _STYLES, st.booleans(), st.booleans()),
        min_size=1,
        max_size=4,
    ),
    cut=st.none() | st.tuples(st.integers(0, 400), st.sampled_from('{}[]",:\\0a\x00 ')),
)
def test_any_body_is_read_as_if_none_had_come_before(
    data: list[tuple[Any, Any, tuple[str, str], bool, bool]], cut: tuple[int, str] | None
) -> None:
    lists = KnownLists()
    with pytest.MonkeyPatch.context() as patch:
        for actions, shared, style, plain, first in data:
            parts: list[tuple[str, Any]] = [("actions", actions), ("contextFeatures", shared)]
            asked = dict(parts if first else parts[::-1]) | {"eventId": "e"}
            raw = json.dumps(asked, separators=style, ensure_ascii=plain)
            for text in (raw, raw, _changed(raw, cut)):
                one, other = both(text.encode(), lists, patch)
                assert one == other
                if isinstance(one, Asked) and isinstance(other, Asked):
                    assert one.supplied.content == other.supplied.content


def _changed(raw: str, cut: tuple[int, str] | None) -> str:
    """Put another character somewhere."""
    return raw if cut is None else raw[: cut[0]] + cut[1] + raw[cut[0] + 1 :]
