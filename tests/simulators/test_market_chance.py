from __future__ import annotations

import numpy as np
from scipy import stats

from simulators.market.chance import Luck, luck_key, luck_of, number, uniforms

WORD = 2**64 - 1
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mixed(word: int) -> int:
    word = ((word ^ (word >> 30)) * FIRST) & WORD
    word = ((word ^ (word >> 27)) * SECOND) & WORD
    return word ^ (word >> 31)


def by_hand(seed: int, purpose: int, which: int, customer: int, round_: int, place: int) -> float:
    key = mixed((seed * GOLDEN + purpose) & WORD)
    key = mixed(key ^ ((which * FIRST + GOLDEN) & WORD))
    who = mixed((key + customer * GOLDEN) & WORD)
    when = mixed(who ^ ((round_ * SECOND + GOLDEN) & WORD))
    return (mixed((when + (place + 1) * GOLDEN) & WORD) >> 11) * 2.0**-53


def test_the_finaliser_is_splitmix64() -> None:
    """The first outputs of the published generator from state 0."""
    outputs = [mixed((n * GOLDEN) & WORD) for n in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_numbers_are_those_of_plain_whole_numbers() -> None:
    customers = np.array([0, 3, 10**7])
    rounds = np.array([0, 89, 4])
    for seed, which in ((0, 0), (7, 2**32 - 1), (2**40, 5)):
        got = uniforms(seed, Luck.OUTCOME, which, customers, rounds, 3)
        due = [
            [by_hand(seed, Luck.OUTCOME, which, c, r, place) for place in range(3)]
            for c, r in zip(customers.tolist(), rounds.tolist(), strict=True)
        ]
        assert got.tolist() == due
        start = luck_of(luck_key(seed, Luck.OUTCOME, which), 3, 89)
        assert number(np.uint64(start), 2) == due[1][2]


def test_a_row_alone_is_the_row_of_a_table_in_any_order() -> None:
    customers = np.random.default_rng(1).permutation(500)
    table = uniforms(3, Luck.DELAY, 0, customers, 4, 2)
    for place in (0, 77, 499):
        assert np.array_equal(uniforms(3, Luck.DELAY, 0, customers[[place]], 4, 2)[0], table[place])
    assert np.array_equal(uniforms(3, Luck.DELAY, 0, customers, 4, 5)[:, :2], table)
    assert np.array_equal(uniforms(3, Luck.DELAY, 0, customers[::2], 4, 2), table[::2])


def test_numbers_are_even_and_none_depends_on_another() -> None:
    who = np.arange(20_000)
    base = uniforms(1, Luck.TRAIT, 0, who, 0, 2)
    others = [
        uniforms(2, Luck.TRAIT, 0, who, 0, 1), uniforms(1, Luck.KIND, 0, who, 0, 1),
        uniforms(1, Luck.TRAIT, 1, who, 0, 1), uniforms(1, Luck.TRAIT, 0, who, 1, 1),
        uniforms(1, Luck.TRAIT, 0, who + 1, 0, 1), base[:, 1:],
    ]  # fmt: skip
    assert stats.kstest(base[:, 0], "uniform").pvalue > 0.001
    for other in others:
        correlation = np.corrcoef(base[:, 0], other[:, 0])[0, 1]
        assert abs(correlation) < 4.0 / np.sqrt(who.size)
