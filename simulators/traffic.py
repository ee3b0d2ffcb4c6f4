"""Traffic: how a simulation's requests come to a server, and how many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from simulators.market.chance import Luck, uniforms

T = TypeVar("T")

_ASKED_TWICE = 1  # a number of luck of its own beside the market's noise


@dataclass(frozen=True, slots=True)
class Traffic:
    """How requests are sent; it changes the pace and what a server must bear, never the world.

    Args:
        concurrency: requests under way at the same time, at least 1.
        burst: share of the requests that could be sent at one moment which are sent at once,
            whatever `concurrency` says; 0 to 1. A burst needs as many open connections.
        twice: share of decisions that are asked for a second time at the same moment under the
            same key, as by a client that lost patience; 0 to 1.
        batch: customers in one request of the batch route, up to 10,000; 0 asks one by one.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> Traffic(concurrency=4, burst=0.25).bursting(40)
        10
    """

    concurrency: int = 8
    burst: float = 0.0
    twice: float = 0.0
    batch: int = 0

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency: expected at least 1, got {self.concurrency}")
        for name, share in (("burst", self.burst), ("twice", self.twice)):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name}: expected a share from 0 to 1, got {share:g}")
        if not 0 <= self.batch <= 10_000:
            raise ValueError(f"batch: expected 0 to 10,000 customers, got {self.batch:,}")

    def bursting(self, requests: int) -> int:
        """Return how many of some requests do not wait for a place."""
        return round(self.burst * requests)

    def asks_twice(self, seed: int, customer: int, round_index: int) -> bool:
        """Say whether one decision is asked for twice; a function of these numbers alone."""
        if not self.twice:
            return False
        who = np.array([customer], dtype=np.int64)
        luck = uniforms(seed, Luck.NOISE, _ASKED_TWICE, who, round_index, 1)
        return bool(luck[0, 0] < self.twice)

    async def send(self, work: Callable[[T], Awaitable[object]], items: Sequence[T]) -> None:
        """Do something for every item, as many at once as may be, up to the first error.

        Raises:
            Exception: what the first failing work raised.
        """
        places = asyncio.Semaphore(self.concurrency)

        async def in_turn(item: T) -> None:
            async with places:
                await work(item)

        async def at_once(item: T) -> None:
            await work(item)

        free = self.bursting(len(items))
        try:
            async with asyncio.TaskGroup() as tasks:
                for place, item in enumerate(items):
                    tasks.create_task(at_once(item) if place < free else in_turn(item))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
