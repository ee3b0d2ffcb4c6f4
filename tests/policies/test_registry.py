from __future__ import annotations

import numpy as np
import pytest

from agents.errors import UnknownNameError
from agents.revision import Revision
from policies.registry import POLICIES, RANKERS, STATELESS, create_policy, load_policy
from policies.samples import sample_lessons


def test_names(revision: Revision) -> None:
    assert set(POLICIES) >= {
        "uniform", "hybrid_thompson", "linear_thompson", "beta_thompson", "priority", "greedy",
        "fixed", "vw_epsilon", "vw_squarecb",
    }  # fmt: skip
    assert {*POLICIES, *RANKERS} >= STATELESS
    every = POLICIES | RANKERS
    assert all(cls.create(revision).name == name for name, cls in every.items())
    assert not POLICIES.keys() & RANKERS


def test_creates_what_the_agent_asks_for(revision: Revision) -> None:
    policy = create_policy(revision)
    assert policy.name == revision.agent.policy.learner == "hybrid_thompson"
    assert load_policy(policy.name, policy.to_bytes(), revision).to_bytes() == policy.to_bytes()


@pytest.mark.parametrize("name", POLICIES)
def test_lessons_at_once_are_lessons_one_by_one(revision: Revision, name: str) -> None:
    """A server may tell as many at a time as it likes, and a rebuild may do so otherwise."""
    one, many = POLICIES[name].create(revision), POLICIES[name].create(revision)
    lessons = sample_lessons(revision, 40, np.random.default_rng(3))
    for lesson in lessons:
        one.update((lesson,))
    many.update(lessons)
    assert one.to_bytes() == many.to_bytes()


def test_unknown_learner(revision: Revision) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_policy("hybrid_tompson", b"", revision)
    assert str(caught.value) == (
        "policy.learner: there is no learner 'hybrid_tompson'; did you mean 'hybrid_thompson'?"
    )
