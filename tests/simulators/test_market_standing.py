from __future__ import annotations

import numpy as np

from simulators.market.standing import FOREVER, Standing


def told(standing: Standing, who: int, field: int, value: float, since: int, until: int) -> None:
    one = (np.array([number]) for number in (field, value, since, until))
    standing.change(np.array([who]), *one)


def now(standing: Standing, who: int, at: int) -> dict[str, float]:
    found = standing.at(np.array([who]), np.array([at]))
    active = found.since[0] != FOREVER
    return {n: float(found.value[0, f]) for f, n in enumerate(standing.fields) if active[f]}


def test_a_change_holds_from_its_instant_and_no_longer_than_it_lasts() -> None:
    standing = Standing(3, 2, ("plan", "angry"))
    told(standing, 1, 1, 1.0, since=10, until=20)
    assert [now(standing, 1, at) for at in (9, 10, 19, 20)] == [
        {},
        {"angry": 1.0},
        {"angry": 1.0},
        {},
    ]
    assert now(standing, 0, 15) == {}
    assert standing.touched.tolist() == [False, True, False]


def test_the_last_change_that_has_happened_is_in_force_and_then_the_one_before() -> None:
    standing = Standing(1, 1, ("plan",))
    told(standing, 0, 0, 7.0, since=30, until=40)  # told first, happens last
    told(standing, 0, 0, 5.0, since=10, until=FOREVER)
    told(standing, 0, 0, 6.0, since=20, until=25)
    values = [now(standing, 0, at).get("plan") for at in (5, 10, 20, 25, 30, 40)]
    assert values == [None, 5.0, 6.0, 5.0, 7.0, 5.0]


def test_of_two_changes_at_one_instant_the_one_told_last_holds() -> None:
    standing = Standing(1, 1, ("plan",))
    for value in (1.0, 2.0):
        told(standing, 0, 0, value, since=10, until=FOREVER)
    assert now(standing, 0, 10) == {"plan": 2.0}


def test_as_many_changes_as_there_are_find_room() -> None:
    rng = np.random.default_rng(1)
    standing = Standing(50, 1, ("a", "b", "c"))
    due: dict[tuple[int, int], float] = {}
    for when in range(40):
        who, field = rng.integers(0, 50, 30), rng.integers(0, 3, 30)
        value = rng.random(30)
        instants = np.full(30, when)
        standing.change(who, field, value, instants, np.full(30, FOREVER))
        due |= {(int(c), int(f)): float(v) for c, f, v in zip(who, field, value, strict=True)}
    found = standing.at(np.arange(50), np.full(50, 40))
    for customer in range(50):
        for place in range(3):
            assert (found.since[customer, place] != FOREVER) == ((customer, place) in due)
            if found.since[customer, place] != FOREVER:
                assert found.value[customer, place] == due[customer, place]


def test_who_leaves_is_gone_at_once_and_away_from_the_first_instant() -> None:
    standing = Standing(2, 1, ())
    standing.leave(np.array([1]), np.array([50]))
    standing.leave(np.array([1]), np.array([40]))
    assert standing.gone.tolist() == [False, True]
    assert standing.left.tolist() == [FOREVER, 40]
