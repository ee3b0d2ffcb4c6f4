"""Text as numbers: which bucket a customer is in, and which decisions have the same id."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

BUCKETS = 16_384
"""Clusters of a streamed log: all customers of a bucket together are one, which is as valid."""

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_WORD = 8


def buckets(customers: NDArray[np.object_]) -> NDArray[np.intp]:
    """Return the bucket of each of (N,) customers, below `BUCKETS`."""
    numbers = hashes(pa.array(customers, pa.string()))
    return np.asarray(numbers % np.uint64(BUCKETS), dtype=np.intp)


def hashes(texts: pa.Array) -> NDArray[np.uint64]:
    """Return a number for each of N texts, the same for the same text on every machine; (N,).

    Each word of eight bytes is mixed by the finaliser of SplitMix64. Fast, and no protection
    against texts that were chosen to collide.

    Example:
        >>> one, two, three = hashes(pa.array(["a", "b", "a"])).tolist()
        >>> one == three, one == two
        (True, False)
    """
    lengths = np.asarray(pc.binary_length(texts), dtype=np.int64)  # (N,)
    words = -(-int(lengths.max(initial=1)) // _WORD)
    joined = _bytes(texts)
    padded = np.zeros((len(texts), max(words, 1) * _WORD), dtype=np.uint8)
    if len(texts) and np.all(lengths == lengths[0]):
        padded[:, : lengths[0]] = joined.reshape(len(texts), -1)
    else:
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = joined
    found = _mixed(lengths.astype(np.uint64))
    for word in padded.view(np.uint64).T:
        found = _mixed(found ^ word)
    return found


def _bytes(texts: pa.Array) -> NDArray[np.uint8]:
    """Return the texts' bytes, one after the other."""
    _, ends, data = texts.buffers()
    bounds = np.frombuffer(ends, dtype=np.int32)[[texts.offset, texts.offset + len(texts)]]
    if data is None:
        return np.zeros(0, dtype=np.uint8)
    return np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[1]]


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = numbers + _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
