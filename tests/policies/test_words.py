from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.features.words import tokens, word_buckets


def dense(text: str, size: int) -> list[float]:
    positions, coefficients = word_buckets(text, size)
    vector = np.zeros(size)
    vector[positions] = coefficients
    return [float(value) for value in vector]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi {{ customer.name | default('friend') }}!", ["hi"]),
        ("{% if customer.age > 60 %}Rest{% else %}Run{% endif %} well", ["rest", "run", "well"]),
        ("{# a note\nof two lines #}50% off", ["50", "off"]),
        ("snake_case don't", ["snake", "case", "don", "t"]),
        ("GRÖSSE Größe", ["grösse", "grösse"]),
        ("Cafe\N{COMBINING ACUTE ACCENT}", ["café"]),
        ("{{ customer.name }}", []),
    ],
)
def test_the_words_of_a_template(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_the_hash_is_fixed_for_good() -> None:
    """Weights are stored by bucket: another hash would give them to other words."""
    positions, coefficients = word_buckets("Save 20% on your bill", 1_000_003)
    signs = np.sign(coefficients).tolist()
    assert positions.tolist() == POSITIONS
    assert signs == SIGNS
    assert coefficients.tolist() == pytest.approx(np.array(SIGNS) / np.sqrt(5.0))


POSITIONS = [9296, 262776, 289488, 337555, 414054]
SIGNS = [1.0, -1.0, 1.0, -1.0, 1.0]


def test_order_and_tags_do_not_count_but_repetition_does() -> None:
    assert dense("save now", 64) == dense("NOW {{ customer.name }}, save", 64)
    assert dense("save save now", 64) != dense("save now", 64)


def test_a_text_without_words_is_nothing() -> None:
    positions, coefficients = word_buckets("{{ customer.name }}", 8)
    assert (len(positions), len(coefficients)) == (0, 0)
    assert positions.dtype == np.intp


def test_words_with_opposite_signs_in_one_bucket_cancel() -> None:
    """No 0 and no division by 0 is left."""
    signs = {word: word_buckets(word, 1)[1].tolist() for word in "abcdefgh"}
    plus = next(word for word, sign in signs.items() if sign == [1.0])
    minus = next(word for word, sign in signs.items() if sign == [-1.0])
    assert len(word_buckets(f"{plus} {minus}", 1)[0]) == 0


def test_a_bucket_is_needed() -> None:
    with pytest.raises(ValueError, match=r"^expected at least 1 bucket, got 0"):
        word_buckets("save", 0)


@given(st.text(max_size=60), st.integers(1, 64))
def test_any_text_gives_a_unit_vector_or_nothing(text: str, size: int) -> None:
    positions, coefficients = word_buckets(text, size)
    assert positions.tolist() == sorted(set(positions.tolist()))
    assert all(0 <= position < size for position in positions.tolist())
    assert len(positions) == 0 or (coefficients**2).sum() == pytest.approx(1.0)


def test_different_texts_are_unlike_on_average() -> None:
    """The signs make the expected product 0, whatever falls into one bucket."""
    rng = np.random.default_rng(0)
    words = [f"word{n}" for n in range(4_000)]
    products = []
    for _ in range(400):
        drawn = rng.choice(words, size=16, replace=False)
        left, right = dense(" ".join(drawn[:8]), 32), dense(" ".join(drawn[8:]), 32)
        products.append(float(np.dot(left, right)))
    stderr = np.std(products) / np.sqrt(len(products))
    assert abs(np.mean(products)) < 4.0 * stderr
