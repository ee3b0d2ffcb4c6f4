"""What Vowpal Wabbit expects of actions, to the bit, from its own weights and its own features.

A prediction of VW goes through half a dozen of its layers for each action; of what it computes, a
sum over the features and all pairs of them, that is the smaller part. Here the sum alone is taken,
in VW's order and in 32 bits, so that it has the same bits. What VW makes of a name stays its own:
its parser says at which index a feature's weight stands, and its model what the weight is. That of
a pair (a, b) stands at (16777619 a) xor b, modulo 2^18.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import vowpal_wabbit_next as vw
from numpy.typing import NDArray

from policies.jit import compiled

BITS = 18
_MASK = (1 << BITS) - 1
_PRIME = 16_777_619  # by which VW mixes the hashes of a pair
_CONSTANT = 11_650_396 & _MASK  # the feature that VW gives to every example
_ENTRY = np.dtype([("index", "<u4"), ("weight", "<f4"), ("steps", "<f4", 2)])

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Indices = NDArray[np.uint32]


class Features(NamedTuple):
    """What VW has read of one row, in its order.

    Args:
        groups: (F,) byte under which VW files the feature; those of one stand together.
        indices: (F,) of the weight.
        values: (F,)
    """

    groups: Integers
    indices: Integers
    values: Floats


def read_features(example: vw.Example) -> Features:
    """Return what VW has read of a row."""
    groups, indices, values = list[int](), list[int](), list[float]()
    for group in example.feat_group_indices:
        held = example[group]
        found = held.indices
        indices += found
        values += held.values
        groups += [group] * len(found)
    return Features(
        np.array(groups, dtype=np.int64),
        np.array(indices, dtype=np.int64) & _MASK,
        np.array(values, dtype=np.float32),
    )


def read_weights(model: bytes, header: int) -> Floats | None:
    """Read the weights out of a model that VW has written; (2^18,).

    Args:
        model: its bytes: what it was told, and then the weights that are not 0, by their index.
        header: how many bytes come before the weights, as of an untaught model.

    Returns:
        None if the bytes are not laid out so.
    """
    if len(model) < header or (len(model) - header) % _ENTRY.itemsize:
        return None
    entries = np.frombuffer(model, _ENTRY, offset=header)  # (W,)
    indices = entries["index"].astype(np.int64)  # (W,)
    if len(indices) and (indices[-1] > _MASK or (np.diff(indices) <= 0).any()):
        return None
    weights = np.zeros(1 << BITS, dtype=np.float32)
    weights[indices] = entries["weight"]
    return weights if np.isfinite(weights).all() else None


@compiled
def score(
    weights: Floats,
    groups: Integers,
    indices: Integers,
    values: Floats,
    counts: Integers,
    shapes: Integers,
    rows: Integers,
    shared: Features,
) -> Floats:
    """Return the loss that is expected of each action shown, as VW has it; (E,).

    Actions whose features are filed alike are summed side by side, each in VW's order: a sum waits
    for each of its additions, several together do not.

    Args:
        weights: (2^18,)
        groups: (R, M) of the features of actions.
        indices: (R, M) likewise.
        values: (R, M) likewise.
        counts: (R,) how many each action has.
        shapes: (R,) the same number where the groups are the same.
        rows: (E,) which are shown.
        shared: features of the moment, which every action has, too.
    """
    alike = np.empty(rows.size, dtype=np.int64)
    done = np.zeros(rows.size, dtype=np.bool_)
    scores = np.empty(rows.size, dtype=np.float32)
    for e in range(rows.size):
        if done[e]:
            continue
        row, size = rows[e], 0
        for other in range(e, rows.size):
            if not done[other] and shapes[rows[other]] == shapes[row]:
                alike[size], done[other] = other, True
                size += 1
        own, those = groups[row, : counts[row]], alike[:size]
        scores[those] = _sums(weights, own, indices, values, rows[those], shared)
    return scores


@compiled
def _sums(
    weights: Floats,
    own: Integers,
    indices: Integers,
    values: Floats,
    rows: Integers,
    shared: Features,
) -> Floats:
    """Return the losses of actions whose features are filed alike, under their own groups (F,)."""
    most = own.size + shared.groups.size
    sources = np.empty(most, dtype=np.int64)
    begins = np.empty(most + 1, dtype=np.int64)
    names = np.empty(most, dtype=np.int64)
    order = np.empty(most, dtype=np.int64)
    merged = np.empty((most, rows.size), dtype=np.uint32)
    worth = np.empty((most, rows.size), dtype=np.float32)
    owned, runs = _merge(own, shared.groups, sources, begins, names)
    _fill(indices, values, rows, shared, sources, merged, worth)
    sums = _linear(weights, merged, worth, begins[owned], begins[runs], rows.size)
    _pairs(weights, merged, worth, begins, _order(names, runs, order), sums)
    return sums


@compiled
def share(scores: Floats) -> tuple[NDArray[np.float64], bool]:
    """Share 1 among the actions of least loss; VW divides in 32 bits.

    Returns:
        (E,) what VW would answer, and whether all losses are finite: if not, VW has to be asked.
    """
    shares = np.zeros(scores.size)
    least, finite, ties = scores.min(), True, np.float32(0.0)
    for e in range(scores.size):
        finite = finite and np.isfinite(scores[e])
        if scores[e] == least:
            ties += np.float32(1.0)
    for e in range(scores.size):
        if scores[e] == least:
            shares[e] = np.float32(1.0) / ties
    return shares, finite


@compiled
def _merge(
    own: Integers, shared: Integers, sources: Integers, begins: Integers, names: Integers
) -> tuple[int, int]:
    """Put the moment's features behind an action's, group by group.

    Args:
        own: (F,) groups of the action's features.
        shared: (S,) groups of the moment's.
        sources: takes which feature comes where: the action's from 0, the moment's from F.
        begins: takes where each group begins, and the end of the last.
        names: takes the groups.

    Returns:
        How many groups the action has, and how many there are in all.
    """
    size, runs, i = 0, 0, 0
    count = own.size
    while i < count:
        name = own[i]
        names[runs], begins[runs] = name, size
        runs += 1
        while i < count and own[i] == name:
            sources[size] = i
            size += 1
            i += 1
        for j in range(shared.size):
            if shared[j] == name:
                sources[size] = count + j
                size += 1
    owned = runs
    for j in range(shared.size):
        name, known = shared[j], False
        for k in range(owned):
            known = known or names[k] == name
        if known:
            continue
        if runs == owned or names[runs - 1] != name:
            names[runs], begins[runs] = name, size
            runs += 1
        sources[size] = count + j
        size += 1
    begins[runs] = size
    return owned, runs


@compiled
def _fill(
    indices: Integers,
    values: Floats,
    rows: Integers,
    shared: Features,
    sources: Integers,
    merged: Indices,
    worth: Floats,
) -> None:
    """Set the index and the value of each feature, (F + S, E), of actions that are filed alike."""
    count = sources.size - shared.indices.size
    for at in range(sources.size):
        source = sources[at]
        for e in range(rows.size):
            if source < count:
                merged[at, e] = indices[rows[e], source]
                worth[at, e] = values[rows[e], source]
            else:
                merged[at, e] = shared.indices[source - count]
                worth[at, e] = shared.values[source - count]


@compiled
def _order(names: Integers, runs: int, order: Integers) -> Integers:
    """Sort the groups by their bytes; there are few."""
    for run in range(runs):
        at = run
        while at > 0 and names[order[at - 1]] > names[run]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = run
    return order[:runs]


@compiled
def _linear(
    weights: Floats, merged: Indices, worth: Floats, own: int, size: int, actions: int
) -> Floats:
    """Return the sum of the features by themselves; the constant stands behind the action's own."""
    sums = np.zeros(actions, dtype=np.float32)
    for i in range(size):
        if i == own:
            sums += weights[_CONSTANT]
        for e in range(actions):
            sums[e] += worth[i, e] * weights[merged[i, e]]
    if own == size:
        sums += weights[_CONSTANT]
    return sums


@compiled
def _pairs(
    weights: Floats,
    merged: Indices,
    worth: Floats,
    begins: Integers,
    order: Integers,
    sums: Floats,
) -> None:
    """Add all pairs of features: of groups in the order of their bytes, each with those after."""
    half = np.empty(sums.size, dtype=np.uint32)
    for a in range(order.size):
        first, end = begins[order[a]], begins[order[a] + 1]
        for b in range(a, order.size):
            then, last = begins[order[b]], begins[order[b] + 1]
            for i in range(first, end):
                for e in range(sums.size):
                    half[e] = (merged[i, e] * _PRIME) & _MASK
                for j in range(i if a == b else then, last):
                    for e in range(sums.size):
                        pair = worth[i, e] * worth[j, e]
                        sums[e] += pair * weights[half[e] ^ merged[j, e]]
