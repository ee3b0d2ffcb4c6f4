"""A comparison: every arm lives with the same customers, beside nobody contacted and the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Unpack

from simulators.compare.arms import Arm, without_floor
from simulators.compare.kpis import Figures, figures
from simulators.compare.life import DAY, Life, live, live_best, live_untouched
from simulators.market.market import Market
from simulators.world import World, WorldOptions
from simulators.worlds import create_world

Told = Callable[[str, int], None]


@dataclass(frozen=True)
class Comparison:
    """What every arm came to.

    Args:
        world: its name.
        currency: of the workspace.
        customers, rounds, seed: of the world.
        figures: by arm, in the order of the arms; each by the keys of `KPIS`.
        lives: of the arms.
        untouched: the customers' life without any contact.
        day: on which unsubscribes and the reachable base were looked at.
        best: their life under the oracle, within the first arm's guardrails.
    """

    world: str
    currency: str
    customers: int
    rounds: int
    seed: int
    figures: dict[str, Figures]
    lives: tuple[Life, ...]
    untouched: Life
    best: Life
    day: int


def compare(
    world: str,
    arms: Sequence[Arm],
    *,
    checked: bool = True,
    told: Told | None = None,
    **options: Unpack[WorldOptions],
) -> Comparison:
    """Let every arm decide for the same customers, who meet the same luck.

    Args:
        world: a name of `WORLDS`, which fits all arms.
        arms: what is compared, with the first.
        checked: whether every arm's log is verified; without it, markets go much faster.
        told: called with the name of who lives now and the number of decisions made so far.
        options: see `WorldOptions`.

    Raises:
        UnknownNameError: there is no such world.
        ValueError: no arm, an option outside its range, or a world that does not fit.

    Example:
        >>> from simulators.compare.arms import arm, with_learner
        >>> from simulators.examples import example_revision
        >>> own = arm(example_revision())
        >>> arms = own, with_learner(own, "uniform")
        >>> found = compare("telecom", arms, customers=20, rounds=2)
        >>> list(found.figures), found.figures["retention"]["breaches"].value
        (['retention', 'retention: uniform'], 0.0)
    """
    if not arms:
        raise ValueError("arms: expected at least one, got none")

    def progress(name: str) -> Callable[[int], None]:
        return lambda done: told(name, done) if told else None

    def born(of: Arm) -> World:
        return create_world(world, of.revision, **options)

    first = born(arms[0])
    untouched = live_untouched(first, progress=progress("none"))
    best = live_best(born(without_floor(arms[0])), progress=progress("oracle"))
    lives = tuple(
        live(born(each), each, checked=checked, progress=progress(each.name)) for each in arms
    )
    found = figures(lives, untouched, best, drift=drift_of(first))
    return Comparison(
        world=world,
        currency=first.revision.workspace.currency,
        customers=first.customers,
        rounds=first.rounds,
        seed=first.seed,
        figures={each.name: row for each, row in zip(arms, found, strict=True)},
        lives=lives,
        untouched=untouched,
        best=best,
        day=(min(first.start + timedelta(days=DAY), first.end) - first.start).days,
    )


def drift_of(world: World) -> float | None:
    """Return the first day on which what works in a world changes for good, None if it never does.

    Args:
        world: any.
    """
    if not isinstance(world, Market) or not world.spec.drift:
        return None
    return float(min(drift.day for drift in world.spec.drift))
