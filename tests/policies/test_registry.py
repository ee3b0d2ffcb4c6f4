from __future__ import annotations

import pytest

from agents.errors import UnknownNameError
from agents.revision import Revision
from policies.registry import POLICIES, STATELESS, create_policy, load_policy


def test_names(revision: Revision) -> None:
    assert set(POLICIES) == {"uniform", "hybrid_thompson", "vw_epsilon", "vw_squarecb"}
    assert set(POLICIES) >= STATELESS
    assert all(cls.create(revision).name == name for name, cls in POLICIES.items())


def test_creates_what_the_agent_asks_for(revision: Revision) -> None:
    policy = create_policy(revision)
    assert policy.name == revision.agent.policy.learner == "hybrid_thompson"
    assert load_policy(policy.name, policy.to_bytes(), revision).to_bytes() == policy.to_bytes()


def test_unknown_learner(revision: Revision) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_policy("hybrid_tompson", b"", revision)
    assert str(caught.value) == (
        "policy.learner: there is no learner 'hybrid_tompson'; did you mean 'hybrid_thompson'?"
    )
