"""Actions that came before are known by their bytes, in whatever list they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from serving.loops import pieces
from serving.loops.pieces import HEADS, LARGEST, READ, KnownActions


def action(n: int, **more: Any) -> dict[str, Any]:
    return {"id": f"a{n}", "features": [{"topic": "}],[{", "n": n}, {"x": [{"y": [1]}]}]} | more


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def ids(kept: KnownActions, listed: str) -> list[str]:
    found, end = kept.read(listed.encode() + b',"more":[{"id":1}]', 0)
    assert not found or end == len(listed.encode())
    return [each.id for each in found]


@pytest.mark.parametrize("write", [compact, json.dumps])
def test_other_lists_of_the_same_actions_are_known(
    write: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, names = KnownActions(), [f"a{n}" for n in range(2 * READ)]
    plain = [action(n, features=[{"n": n}]) for n in range(2 * READ)]
    assert ids(kept, write(plain)) == [], "too many are new"
    assert ids(kept, write(plain)) == names
    monkeypatch.setattr(pieces, "_read", None)  # nothing is read any more
    assert ids(kept, write(plain[::-1])) == names[::-1]
    assert ids(kept, write(plain[3:5])) == ["a3", "a4"]
    again, _ = kept.read(write(plain[:2]).encode(), 0)
    other, _ = kept.read(write(plain[1:2]).encode(), 0)
    assert again[1].text is other[0].text


def test_what_only_looks_like_an_end_is_none() -> None:
    odd = [action(1, features=[{"x": '},{"id":'}]), action(2, features=[{"y": "}]}]"}])]
    assert ids(KnownActions(), compact(odd)) == []
    assert ids(KnownActions(), compact(odd[::-1])) == ["a2", "a1"]
    nested = [action(1, features=[{"x": 1}, {"id": 2}]), action(2, features=[{"y": 1}])]
    assert ids(KnownActions(), compact(nested)) == []


@pytest.mark.parametrize(
    "one",
    [
        '{"id":"a","features":[{}],"id":"b"}',
        '{"id":"a","features":[{"x":1,"x":2}]}',
        '{"id":"a","features":[{"x":NaN}]}',
        '{"id":"a","features":[{"x":1}]',
        '{"id":"a","features":[{"x":01}]}',
        '{"id":"a","features":[null]}',
        '{"id":"a","features":[]}',
        '{"id":"a","features":{}}',
        '{"id":"a"}',
        '{"id":"none","features":[{}]}',
        '{"id":"","features":[{}]}',
        '{"id":1,"features":[{}]}',
        '{"id":"a","features":[{"x":"\x00"}]}',
        '{"id":"a","features":[{"x":' + "[" * 99 + "]" * 99 + "}]}",
        '{"id":"a","features":[{"x":"' + "y" * LARGEST + '"}]}',
        '{"id":"a","features":[{"x":[' + "1," * 600 + "1]}]}",
        "1",
    ],
)
def test_what_is_unusual_is_read_as_a_whole(one: str) -> None:
    kept, usual = KnownActions(), compact(action(5, features=[{"n": 1}]))
    for listed in (f"[{one}]", f"[{usual},{one}]", f"[{one},{usual}]"):
        assert ids(kept, listed) == []
        assert ids(kept, listed) == [], "nor the second time"
    assert ids(kept, f"[{usual}]") == ["a5"]


def test_no_more_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST", 4)
    kept = KnownActions()
    for n in range(20):
        assert (
            ids(kept, compact([action(n, features=[{}]), action(0, features=[{"x": 1}])])) or not n
        )
        for each in kept._kept.values():
            assert max(len(each._new), len(each._old)) <= 4
    for n in range(3 * HEADS):
        assert ids(kept, f'[{{"{n}":1,"id":"a","features":[{{}}]}}]') == ["a"]
        assert len(kept._kept) <= HEADS


def test_no_more_bytes_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_BYTES", 1_000)
    kept = KnownActions()
    for n in range(50):
        ids(kept, compact([action(n, features=[{"x": "y" * 300}]), action(0, features=[{"x": 1}])]))
        for each in kept._kept.values():
            assert max(sum(map(len, each._new)), sum(map(len, each._old))) < 1_000 + 400
