"""Actions that are used again answer as if they had been read anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import vowpal_wabbit_next as vw

from agents.errors import StateError
from agents.supplied import supply
from policies.vowpal import shelf
from policies.vowpal.engine import Target
from policies.vowpal.ranker import Ranker
from policies.vowpal.shelf import Shelf

RNG = np.random.default_rng(8)


def content(ids: Sequence[int], hour: int) -> bytes:
    actions: dict[str, list[object]] = {
        f"a{n}": [{"topic": f"t{n % 4}", "length": 10 * n}, {"more": {"fresh": n % 3 == 0}}]
        for n in ids
    }
    return supply([{"user": {"hour": hour}}, {"mobile": hour % 2 == 0}], actions).content


def taught() -> Ranker:
    ranker = Ranker(0.5)
    for _ in range(300):
        ids = RNG.permutation(12)[:5].tolist()
        hour, drawn = int(RNG.integers(4)), int(RNG.integers(5))
        reward = float(ids[drawn] % 4 == hour)
        ranker.learn(content(ids, hour), 5, range(5), drawn, Target(-reward, 0.2, 1.0))
    return ranker


def test_what_is_used_again_answers_as_what_is_read_anew() -> None:
    ranker = taught()
    fresh = Ranker(0.5, ranker.model())
    best = set()
    for _ in range(60):
        ids = RNG.permutation(12)[:5].tolist()
        asked = content(ids, int(RNG.integers(4)))
        shown = sorted(RNG.permutation(5)[:4].tolist())
        fresh._shelf.clear()
        answer = ranker.probabilities(asked, 5, shown)
        np.testing.assert_array_equal(answer, fresh.probabilities(asked, 5, shown))
        whole = fresh._run(fresh._examples(asked, 5, shown), learn=False)
        np.testing.assert_array_equal(answer, [p for _, p in sorted(whole)])
        best.add(ids[shown[int(answer.argmax())]])
    assert len(best) > 3, "it has learned something, and answers differ"


def test_lessons_between_questions_count() -> None:
    """Weights are the workspace's: an example that is kept holds none of them."""
    ranker, asked = Ranker(0.5), content([1, 2], 0)
    assert ranker.probabilities(asked, 2, [0, 1]).tolist() == [0.5, 0.5]
    for _ in range(5):
        ranker.learn(asked, 2, [0, 1], 1, Target(-1.0, 0.5, 1.0))
    assert ranker.probabilities(asked, 2, [0, 1]).tolist() == [0.0, 1.0]


def test_no_more_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MOST", 3)
    kept = Shelf(vw.DSJsonFormatParser(vw.Workspace(["--cb_explore_adf", "--quiet"])))
    first = kept.take(content([1, 2, 3], 0), 3, [0, 1, 2])
    again = kept.take(content([1, 4], 0), 2, [0, 1])
    assert again[1] is first[1], "asked for again, so it stays"
    later = kept.take(content([2, 1, 3], 0), 3, [0, 1, 2])
    assert later[1] is not first[2], "2 was not asked for longest"


def test_what_is_large_is_not_kept() -> None:
    kept = Shelf(vw.DSJsonFormatParser(vw.Workspace(["--cb_explore_adf", "--quiet"])))
    large = supply([], {"a": [{"text": "x" * shelf.LARGEST}], "b": [{"x": 1}]}).content
    first, again = kept.take(large, 2, [0, 1]), kept.take(large, 2, [0, 1])
    assert again[1] is not first[1]
    assert again[2] is first[2]


@pytest.mark.parametrize(
    "odd",
    [
        b'{"FromUrl":[{"_multi":[{"i":1}]}],"_multi":[{"_tag":"a","i":1}]}',
        b'{"FromUrl":[{"likes":["tea"]}],"_multi":[{"_tag":"a","i":1}]}',
        b'{"FromUrl":[],"_multi":[{"_tag":"a","i":1},{"_tag":"a","i":1}]}',
        b'{"_multi":[{"_tag":"a","i":1}],"FromUrl":[]}',
        b"{}",
    ],
)
def test_what_is_not_plain_is_left_to_be_read_whole(odd: bytes) -> None:
    kept = Shelf(vw.DSJsonFormatParser(vw.Workspace(["--cb_explore_adf", "--quiet"])))
    assert kept.take(odd, odd.count(b'"_tag"'), range(odd.count(b'"_tag"'))) == []


def test_after_a_failure_nothing_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ranker, asked = taught(), content([1, 2], 0)
    before = ranker._shelf.take(asked, 2, [0, 1])

    def fail(_examples: object, *, learn: bool) -> None:
        raise StateError("no")

    monkeypatch.setattr(ranker, "_run", fail)
    with pytest.raises(StateError):
        ranker.probabilities(asked, 2, [0, 1])
    assert ranker._shelf.take(asked, 2, [0, 1])[1] is not before[1]
