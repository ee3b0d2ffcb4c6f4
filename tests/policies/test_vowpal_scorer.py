"""Answers that are computed beside Vowpal Wabbit are its own, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vowpal_wabbit_next as vw
from numpy.typing import NDArray

from agents.supplied import supply
from policies.vowpal import scorer as scorers
from policies.vowpal.content import dsjson, tamed
from policies.vowpal.engine import UNCOUNTED, Target
from policies.vowpal.pairs import read_features, read_weights, score, share
from policies.vowpal.ranker import ARGUMENTS, Ranker
from policies.vowpal.scorer import scorer_of
from policies.vowpal.shelf import texts_of

_NAMES = (
    "a",
    "b",
    "u",
    "j",
    "i",
    "id",
    "user",
    "_x",
    "device",
    "F",
    "slot",
    "Z",
    "9",
    "~",
    " q",
    "é",
)


def value(rng: np.random.Generator, depth: int = 0) -> Any:
    kind = int(rng.integers(8 if depth < 3 else 4))
    if kind < 3:
        return (int(rng.integers(-3, 400)), round(float(rng.normal()) * 100, 4), kind == 2)[kind]
    if kind == 3:
        return "".join(rng.choice(list("abcxé _:|"), int(rng.integers(5))))
    if kind < 6:
        return some(rng, depth + 1)
    return [value(rng, 3) for _ in range(int(rng.integers(3)))] if kind == 6 else None


def some(rng: np.random.Generator, depth: int = 0) -> dict[str, Any]:
    return {str(rng.choice(_NAMES)): value(rng, depth) for _ in range(int(rng.integers(5)))}


def content(rng: np.random.Generator) -> tuple[bytes, int]:
    """Make content of the oddest sort: groups that clash, all types, empty lists."""
    count = int(rng.integers(1, 6))
    actions = {f"a{n}": [some(rng) for _ in range(int(rng.integers(1, 3)))] for n in range(count)}
    shared = [some(rng) for _ in range(int(rng.integers(3)))]
    place = [some(rng)] if rng.integers(2) else None
    return supply(shared, actions, place=place).content, count


class Losses:
    """VW under the same arguments, but without the explorer, so that it tells its losses."""

    def __init__(self) -> None:
        args = [("--cb_adf" if each == "--cb_explore_adf" else each) for each in ARGUMENTS]
        at = args.index("--epsilon")
        del args[at : at + 2]
        self.args = [*args, "--rank_all"]
        self.workspace = vw.Workspace(self.args)
        self._parser = vw.DSJsonFormatParser(self.workspace)

    def read(self, made: bytes, count: int) -> list[vw.Example]:
        try:
            return self._parser.parse_json(dsjson(made, count))
        except RuntimeError:
            return self._parser.parse_json(tamed(made))

    def learn(self, examples: list[vw.Example], drawn: int, loss: float) -> None:
        examples[1 + drawn].set_label(vw.CBLabel(label=(0, loss, 0.3), weight=1.0))
        self.workspace.learn_one(examples)

    def expected(self, examples: list[vw.Example]) -> NDArray[np.float32]:
        examples[0].set_label(UNCOUNTED)
        told: Any = self.workspace.predict_one(examples)
        return np.array([loss for _, loss in sorted(told)], dtype=np.float32)


def scores(
    weights: NDArray[np.float32], examples: list[vw.Example], count: int
) -> NDArray[np.float32]:
    shared, *actions = [read_features(each) for each in examples]
    widest = max(each.indices.size for each in actions)
    groups, indices = np.zeros((2, count, widest), dtype=np.int64)
    values, counts = np.zeros((count, widest), dtype=np.float32), np.zeros(count, dtype=np.int64)
    for row, each in enumerate(actions):
        size = counts[row] = each.indices.size
        groups[row, :size], indices[row, :size], values[row, :size] = each
    filed = [each.groups.tolist() for each in actions]
    shapes = np.array([filed.index(each) for each in filed])
    return score(weights, groups, indices, values, counts, shapes, np.arange(count), shared)


def test_losses_have_the_bits_of_vw_whatever_the_features() -> None:
    rng, library = np.random.default_rng(8), Losses()
    untaught = len(library.workspace.serialize())
    for _ in range(300):
        made, count = content(rng)
        library.learn(library.read(made, count), int(rng.integers(count)), float(rng.normal()))
    weights = read_weights(library.workspace.serialize(), untaught)
    assert weights is not None
    assert (weights != 0).sum() > 3_000
    told = 0
    for _ in range(300):
        made, count = content(rng)
        examples = library.read(made, count)
        asked = library.expected(examples)
        found = scores(weights, examples, count)
        assert found.tobytes() == asked.tobytes(), made
        told += len(set(asked.tolist()))
    assert told > 600, "losses differ"


def page(rng: np.random.Generator, ids: list[int]) -> bytes:
    shared = [{"user": {"hour": int(rng.integers(4)), "bill": round(float(rng.normal()), 3)}}]
    return supply(shared, {f"a{n}": [{"topic": f"t{n % 4}", "length": n}] for n in ids}).content


def taught(rng: np.random.Generator) -> Ranker:
    ranker = Ranker(0.5)
    for _ in range(200):
        ids, drawn = rng.permutation(12)[:5].tolist(), int(rng.integers(5))
        reward = float(rng.random() < 0.1 * (ids[drawn] % 4))
        ranker.learn(page(rng, ids), 5, range(5), drawn, Target(-reward, 0.2, 1.0))
    return ranker


@pytest.mark.parametrize("teach", [True, False])
def test_a_model_that_was_loaded_answers_as_the_one_that_learned(teach: bool) -> None:
    """Untaught, all tie: then VW divides in 32 bits, and so is it done here."""
    rng = np.random.default_rng(3)
    ranker = taught(rng) if teach else Ranker(0.5)
    loaded = Ranker(0.5, ranker.model())
    ranker._scorer = None
    assert loaded._scorer is not None
    for size in (1, 3, 7, 11, 12) * 5:
        asked = page(rng, rng.permutation(12)[:size].tolist())
        shown = sorted(rng.permutation(size)[: int(rng.integers(1, size + 1))].tolist())
        for which in (list(range(size)), shown):
            own = ranker.probabilities(asked, size, which)
            assert loaded._scorer.probabilities(asked, size, which) is not None
            assert loaded.probabilities(asked, size, which).tobytes() == own.tobytes()


def test_when_the_table_is_full_it_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorers, "MOST", 8)
    rng = np.random.default_rng(4)
    ranker = taught(rng)
    loaded = Ranker(0.5, ranker.model())
    for _ in range(30):
        asked = page(rng, rng.permutation(12)[:5].tolist())
        own = ranker.probabilities(asked, 5, range(5))
        assert loaded.probabilities(asked, 5, range(5)).tobytes() == own.tobytes()
    assert loaded._scorer is not None
    assert len(loaded._scorer._table.rows) <= 8
    assert loaded._scorer.probabilities(page(rng, list(range(9))), 9, range(9)) is None


@pytest.mark.parametrize(
    "odd",
    [
        b'{"FromUrl":[{"_multi":[{"i":1}]}],"_multi":[{"_tag":"a","i":1}]}',
        b'{"FromUrl":[],"_multi":[{"_tag":"a","i":1},{"_tag":"a","i":1}]}',
        b'{"_multi":[{"_tag":"a","i":1}],"FromUrl":[]}',
        b'{"FromUrl":[],"_multi":[{"_tag":"a","i":[%b]}]}' % b",".join([b"1"] * 70),
    ],
)
def test_what_is_unusual_is_left_to_vw(odd: bytes) -> None:
    scorer, count = Ranker(0.5)._scorer, odd.count(b'"_tag"')
    assert scorer is not None
    assert scorer.probabilities(odd, count, range(count)) is None


def test_losses_that_overflow_are_left_to_vw() -> None:
    shares, finite = share(np.array([1.0, np.inf], dtype=np.float32))
    assert not finite
    assert shares.tolist() == [1.0, 0.0]


def test_after_a_lesson_vw_is_asked() -> None:
    ranker, asked = Ranker(0.5), page(np.random.default_rng(0), [1, 2])
    assert ranker.probabilities(asked, 2, [0, 1]).tolist() == [0.5, 0.5]
    for _ in range(5):
        ranker.learn(asked, 2, [0, 1], 1, Target(-1.0, 0.5, 1.0))
    assert ranker._scorer is None
    assert ranker.probabilities(asked, 2, [0, 1]).tolist() == [0.0, 1.0]


def test_bytes_that_are_laid_out_otherwise_are_not_read() -> None:
    model = taught(np.random.default_rng(5)).model()
    whole = len(Ranker(0.5).model())
    assert read_weights(model, whole) is not None
    assert read_weights(model[:-1], whole) is None
    assert read_weights(model[: whole - 1], whole) is None
    backwards = model[:whole] + model[-16:] + model[whole : whole + 16]
    assert read_weights(backwards, whole) is None, "indices ascend"
    beyond = model[:whole] + b"\0\0\4\0" + bytes(12)
    assert read_weights(beyond, whole) is None, "there are 2^18 of them"
    parser = vw.DSJsonFormatParser(vw.Workspace([*ARGUMENTS]))
    assert scorer_of(model[:-1], ARGUMENTS, parser) is None


def test_texts_that_are_known_change_no_answer() -> None:
    """Nor does what a caller calls its features, if it is the same as what stands behind them."""
    rng = np.random.default_rng(7)
    model = taught(rng).model()
    one, other = Ranker(0.5, model), Ranker(0.5, model)
    assert one._scorer is not None
    assert other._scorer is not None
    known = dict[bytes, bytes]()
    for size in (3, 7, 12) * 5:
        asked = page(rng, rng.permutation(12)[:size].tolist())
        if size == 7:
            asked = asked.replace(b'"hour"', b'"x":[1],"_multi":[{"_tag":1}],"hour"')
        parts = asked.rpartition(b',"_multi":[{"_tag":')[2]
        texts = tuple(known.setdefault(each, each) for each in texts_of(parts))
        for _ in range(2):
            found = one.probabilities(asked, size, range(size), texts)
            assert found.tolist() == other.probabilities(asked, size, range(size)).tolist()
    wrong = (texts[0],) * size
    answer = other.probabilities(asked, size, range(size))
    assert one.probabilities(asked, size, range(size), wrong).tolist() == answer.tolist()


def test_a_model_saved_at_another_rate_answers_as_vw_does() -> None:
    """The lengths of what stands before the weights differ by just one weight's."""
    listed = b",".join(
        b'{"_tag":"%b","i":{"id":"%b"}}' % (name, name) for name in (b"a", b"b", b"c")
    )
    made = b'{"FromUrl":[{"n":1}],"_multi":[%b]}' % listed
    for best in range(3):
        teacher = Ranker(0.5)
        for turn in range(60):
            loss = -1.0 if turn % 3 == best else -0.95
            teacher.learn(made, 3, [0, 1, 2], turn % 3, Target(loss, 0.5, 1.0))
        ranker = Ranker(0.001, teacher.model())
        assert ranker.probabilities(made, 3, [0, 1, 2]).argmax() == best
