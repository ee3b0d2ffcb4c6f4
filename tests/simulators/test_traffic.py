from __future__ import annotations

import asyncio
from typing import Any

import pytest

from simulators.traffic import Traffic


class Counter:
    """Work that counts how much of it is under way, until all that could begin has."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.done: list[int] = []

    async def __call__(self, item: int) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
        self.done.append(item)


@pytest.mark.parametrize(("burst", "most"), [(0.0, 3), (0.5, 13), (1.0, 20)])
def test_a_burst_comes_beside_the_places(burst: float, most: int) -> None:
    work = Counter()
    asyncio.run(Traffic(concurrency=3, burst=burst).send(work, range(20)))
    assert sorted(work.done) == list(range(20))
    assert work.most == most


def test_the_first_error_ends_it_and_is_raised_itself() -> None:
    async def fail(item: int) -> None:
        raise LookupError(f"no {item}")

    with pytest.raises(LookupError, match="^no 0$"):
        asyncio.run(Traffic(concurrency=1).send(fail, [0, 1]))


def test_who_is_asked_twice_is_a_share_and_always_the_same() -> None:
    twice = [[Traffic(twice=share).asks_twice(5, c, 2) for c in range(2_000)] for share in (0, 0.3)]
    assert not any(twice[0])
    assert sum(twice[1]) == pytest.approx(600, abs=4 * (2_000 * 0.3 * 0.7) ** 0.5)
    assert twice[1] == [Traffic(twice=0.3).asks_twice(5, c, 2) for c in range(2_000)]
    assert twice[1] != [Traffic(twice=0.3).asks_twice(5, c, 3) for c in range(2_000)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"concurrency": 0}, "concurrency: expected at least 1, got 0"),
        ({"burst": 1.5}, "burst: expected a share from 0 to 1, got 1.5"),
        ({"twice": -0.1}, "twice: expected a share from 0 to 1, got -0.1"),
        ({"batch": 10_001}, "batch: expected 0 to 10,000 customers, got 10,001"),
    ],
)
def test_numbers_outside_their_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Traffic(**given)
