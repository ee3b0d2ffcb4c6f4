"""Compile every learner's kernels once, so that no process that decides waits for a compiler.

Run as `python -m policies.precompile`; `make setup` does. What it makes is kept beside the code.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from agents.catalog import example_folder
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import PolicySpec
from agents.supplied import supply
from policies.decide import decide
from policies.floor import mix_floor
from policies.registry import POLICIES, create_policy
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.table import decide_table
from policies.teaching.discount import Discounting
from policies.teaching.labels import Labels, TableLearner, Taught
from policies.vowpal.ranker import Ranker

_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
_CUSTOMERS = 50  # some of which are held out, and some are not


def precompile(revision: Revision) -> None:
    """Let each learner learn, fade and decide once, for one customer and for a table of them.

    Args:
        revision: of any agent; each learner takes its place with the default settings, and the
            floor that is compiled.
    """
    rng = np.random.default_rng(0)
    table = pa.table({"customer": [f"c{n}" for n in range(_CUSTOMERS)]})
    (context,) = sample_contexts(revision, 1, rng)
    for name in POLICIES:
        spec = PolicySpec(learner=name, floor_over="offers")
        agent = revision.agent.model_copy(update={"policy": spec})
        varied = Revision(revision.workspace, agent)
        policy = create_policy(varied)
        policy.update(sample_lessons(varied, 2, rng))
        if isinstance(policy, TableLearner):
            policy.learn_table(*_one_lesson(len(policy.encoder.names)))
        if isinstance(policy, Discounting):
            policy.discount(0.5)
        policy.distribution(context, sample_mask(varied, rng))
        decide(varied, policy, context, decision_id="d", secret=b"none")
        decide_table(varied, policy, table, at=_AT, secret=b"none", usage={})
    mix_floor(np.ones(2), np.ones(2, dtype=np.bool_), 0.5)
    content = supply([{"hour": 9}], {"a": [{"n": 1}], "b": [{"n": 2}]}).content
    Ranker(0.2).probabilities(content, 2, [0, 1])


def _one_lesson(columns: int) -> tuple[Taught, Labels]:
    zero, one = np.zeros(1, dtype=np.int64), np.ones(1)
    never = np.zeros(1, dtype=np.bool_)
    return Taught(np.zeros((1, columns)), zero, zero), Labels(zero, zero, never, one, never, zero)


if __name__ == "__main__":
    with example_folder("telecom") as folder:
        precompile(load_workspace(folder).revisions["retention"])
