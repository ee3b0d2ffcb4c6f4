from __future__ import annotations

import time
from uuid import RFC_4122, UUID

import pytest

from serving.ids import new_id


def test_ids_sort_by_time_and_are_uuids(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_772_442_000_123_456_789
    made = []
    for step in range(50):
        monkeypatch.setattr(time, "time_ns", lambda now=clock + 1_000 * step: now)
        made.append(new_id())
    assert made == sorted(made)
    for name in made:
        uuid = UUID(name)
        assert (uuid.hex, uuid.version, uuid.variant) == (name, 7, RFC_4122)
    assert int(made[0][:12], 16) == clock // 1_000_000


def test_ids_of_one_instant_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_772_442_000_000_000_000)
    assert len({new_id() for _ in range(10_000)}) == 10_000
