"""What happens after an action, row by row: the formula of `Market` as compiled code.

One action and all actions of a customer go through the same code, so both give the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled
from simulators.market.chance import Floats, Ints, luck_of, number

Bools = NDArray[np.bool_]


class Truth(NamedTuple):
    """A world as arrays; K signals, O outcomes, A actions.

    Args:
        base: (K, O) weights of every outcome without contact.
        kinds: (kinds, O) log-odds of a kind of customer.
        gains: (kinds,) what messages are multiplied by.
        nature: (3, O) whether it is bad for the company; only after a message; happens once.
        odds: (3, O) log-odds of full fatigue; of a channel that does not fit; of any message to
            those with a gain below 0.
        channels: (channels, K) weights of how well they suit.
        windows: (windows, K) likewise.
        parts: (A, 3) positions of the action's offer, channel and window; -1 as none's offer.
        response: share of an effect that full fatigue takes away.
    """

    base: Floats
    kinds: Floats
    gains: Floats
    nature: Bools
    odds: Floats
    channels: Floats
    windows: Floats
    parts: Ints
    response: float


class Now(NamedTuple):
    """An instant, and n customers at it.

    Args:
        day: (O,) log-odds of the day.
        strength: of messages on this day.
        effects: (A, K, O) weights.
        terms: (A, up to K) the signals that have any weight, then -1.
        short: (offers,) log-odds of harm where an offer is sold out, else NaN.
        z: (n, K) signals.
        kind: (n,) positions.
        tired: (n,) fatigue.
        done: (n, O) what has happened.
        gone: (n,) who has left.
    """

    day: Floats
    strength: float
    effects: Floats
    terms: Ints
    short: Floats
    z: Floats
    kind: Ints
    tired: Floats
    done: Bools
    gone: Bools


def rates_after(truth: Truth, now: Now, worn: Floats, actions: Ints) -> Floats:
    """Return P(outcome) after some actions of each customer, (n, a, O).

    Args:
        truth: of the world.
        now: the customers.
        worn: (n, offers) wear of each offer, or (n, 1) of the only action's.
        actions: (n, a) positions.
    """
    # Plain arrays: compiled code counts references whenever it takes one out of a tuple.
    arrays = (*truth, *now, worn, actions)
    return _rates(*arrays)


@compiled
def _logistic(x: float) -> float:
    found: float = 1.0 / (1.0 + np.exp(-x))
    return found


@compiled
def _share(weights: Floats, line: int, z: Floats, row: int) -> float:
    """Return logistic(weights . z) of one line of weights and one customer."""
    total = 0.0
    for k in range(z.shape[1]):
        total += weights[line, k] * z[row, k]
    return _logistic(total)


@compiled
def _rates(
    base: Floats, kinds: Floats, gains: Floats, nature: Bools, odds: Floats, channels: Floats,
    windows: Floats, parts: Ints, response: float,
    day: Floats, strength: float, effects: Floats, terms: Ints, short: Floats, z: Floats,
    kind: Ints, tired: Floats, done: Bools, gone: Bools,
    worn: Floats, actions: Ints,
) -> Floats:  # fmt: skip
    found = np.empty((*actions.shape, day.size))
    quiet, added = np.empty(day.size), np.empty(day.size)
    reach, suits = np.empty(channels.shape[0]), np.empty(windows.shape[0])
    for row in range(actions.shape[0]):
        gain = gains[kind[row]]
        rested = gain * strength * (1.0 - response * tired[row])
        for o in range(day.size):
            quiet[o] = kinds[kind[row], o] + day[o] + odds[0, o] * tired[row]
        _add(base, z, row, quiet)
        reach[:], suits[:] = -1.0, -1.0  # not worked out yet
        for place in range(actions.shape[1]):
            action = actions[row, place]
            offer, channel, window = parts[action, 0], parts[action, 1], parts[action, 2]
            added[:] = 0.0
            if offer >= 0:
                if reach[channel] < 0.0:
                    reach[channel] = _share(channels, channel, z, row)
                if suits[window] < 0.0:
                    suits[window] = _share(windows, window, z, row)
                power = (
                    rested
                    * reach[channel]
                    * suits[window]
                    * (1.0 - worn[row, offer % worn.shape[1]])
                )
                if np.isnan(short[offer]):
                    _add_effect(effects, terms, action, z, row, power, added)
                _add_burden(odds, nature, reach[channel], gain, short[offer], added)
            for o in range(day.size):
                over = gone[row] or (nature[2, o] and done[row, o]) or (nature[1, o] and offer < 0)
                found[row, place, o] = 0.0 if over else _logistic(quiet[o] + added[o])
    return found


@compiled
def _add(weights: Floats, z: Floats, row: int, total: Floats) -> None:
    """Add the weighted sums of a customer's signals, (O,); weights (K, O)."""
    for k in range(z.shape[1]):
        for o in range(total.size):
            total[o] += weights[k, o] * z[row, k]


@compiled
def _add_burden(
    odds: Floats, nature: Bools, reach: float, gain: float, short: float, total: Floats
) -> None:
    """Add what any message does to the log-odds, (O,)."""
    for o in range(total.size):
        total[o] += (1.0 - reach) * odds[1, o]
        if gain < 0.0:
            total[o] += odds[2, o]
        if nature[0, o] and not np.isnan(short):
            total[o] += short


@compiled
def _add_effect(
    effects: Floats, terms: Ints, action: int, z: Floats, row: int, power: float, total: Floats
) -> None:
    """Add what an action's own effects do to the log-odds, (O,)."""
    for place in range(terms.shape[1]):
        k = terms[action, place]
        if k < 0:
            break
        for o in range(total.size):
            total[o] += power * (effects[action, k, o] * z[row, k])


@compiled
def draw(key: np.uint64, customers: Ints, rounds: Ints, rates: Floats) -> tuple[Ints, Ints]:
    """Return what happens, by row and outcome: outcome o does if number o is below its rate.

    Args:
        key: of the purpose; see `chance.luck_key`.
        customers: (n,) positions.
        rounds: (n,) of their decisions.
        rates: (n, O).
    """
    row, outcome = np.empty(rates.size, dtype=np.int64), np.empty(rates.size, dtype=np.int64)
    count = 0
    for place in range(customers.size):
        start = luck_of(key, customers[place], rounds[place])
        for o in range(rates.shape[1]):
            if number(start, o) < rates[place, o]:
                row[count], outcome[count] = place, o
                count += 1
    return row[:count].copy(), outcome[:count].copy()
