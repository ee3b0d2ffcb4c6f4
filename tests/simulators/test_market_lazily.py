from __future__ import annotations

from typing import ClassVar

import pytest

from agents.revision import Revision
from simulators.market.effects import effects_of
from simulators.market.kept import kept
from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec
from simulators.worlds import WORLDS


def test_no_packaged_document_is_read_before_it_is_asked_for() -> None:
    markets = [world for world in WORLDS.values() if issubclass(world, Market)]
    assert len(markets) == 14
    assert not [world for world in markets if isinstance(vars(world)["spec"], WorldSpec)]


def test_a_document_is_read_once_and_tells_what_its_class_is() -> None:
    read: list[str] = []

    def reading(name: str) -> WorldSpec:
        read.append(name)
        return load_world(name)

    class Ours(Market):
        spec: ClassVar[WorldSpec] = later(reading, "telecom")

    class Theirs(Ours):
        spec: ClassVar[WorldSpec] = load_world("bank")

    assert read == []
    assert (Ours.name, Ours.made_for) == ("telecom", ("telecom", "retention"))
    assert Ours.once == {word for word, each in Ours.spec.outcomes.items() if each.once}
    assert read == ["telecom"]
    assert (Theirs.name, Theirs.made_for[0]) == ("bank", "bank")
    assert Theirs.once == {word for word, each in Theirs.spec.outcomes.items() if each.once}


def test_a_document_that_names_what_it_does_not_have_is_refused_at_its_first_use() -> None:
    wrong = load_world("telecom").model_copy(update={"channels": {"email": {"onee": 1.0}}})

    class Ours(Market):
        spec: ClassVar[WorldSpec] = later(lambda: wrong)

    with pytest.raises(ValueError, match=r"^world 'telecom', channels.email.onee: unknown name"):
        _ = Ours.name


def test_what_is_kept_is_told_by_its_document_and_revision(revision: Revision) -> None:
    spec = load_world("telecom")
    other = spec.model_copy()
    assert effects_of(spec, revision) is effects_of(spec, revision)
    assert effects_of(other, revision) is not effects_of(spec, revision)
    made: list[WorldSpec] = []

    def make(document: WorldSpec, _revision: Revision) -> int:
        made.append(document)
        return len(made)

    number = kept(make)
    copies = [spec.model_copy() for _ in range(17)]
    assert [number(copy, revision) for copy in copies] == list(range(1, 18))
    assert number(copies[-1], revision) == 17
    assert number(copies[0], revision) == 18  # the oldest has gone
