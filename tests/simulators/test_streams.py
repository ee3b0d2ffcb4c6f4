from __future__ import annotations

import numpy as np

from simulators.streams import Draws, Purpose, stream


def test_a_stream_is_a_function_of_its_name() -> None:
    stream(1, Purpose.RESPONSES, 4, 4).random(100)  # what others draw does not matter
    first = stream(1, Purpose.RESPONSES, 3, 0).random(5)
    assert np.array_equal(first, stream(1, Purpose.RESPONSES, 3, 0).random(5))


def test_streams_differ_in_every_part_of_the_name() -> None:
    names = [(1, Purpose.RESPONSES, 3, 0), (2, Purpose.RESPONSES, 3, 0)]
    names += [(1, Purpose.CUSTOMERS, 3, 0), (1, Purpose.RESPONSES, 0, 3)]
    names += [(1, Purpose.RESPONSES, 3, 1), (1, Purpose.RESPONSES, 4, 0)]
    firsts = {stream(seed, purpose, *key).random() for seed, purpose, *key in names}
    assert len(firsts) == len(names)


def test_first_numbers_of_many_streams_are_uniform() -> None:
    luck = np.array([stream(9, Purpose.RESPONSES, c, 0).random() for c in range(4_000)])
    counts = np.histogram(luck, bins=20, range=(0.0, 1.0))[0]
    error = np.sqrt(4_000 * 0.05 * 0.95)
    assert np.all(np.abs(counts - 200) < 4.0 * error)


def test_a_larger_population_begins_with_the_smaller_one() -> None:
    small, large = Draws(5, 10), Draws(5, 40)
    assert np.array_equal(small.normals(2), large.normals(3)[:10, :2])
    assert np.array_equal(small.uniform(), large.uniform()[:10])
    assert not np.array_equal(small.uniform(), small.uniform())
