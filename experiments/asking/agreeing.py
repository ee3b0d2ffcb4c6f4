"""What a log says of apprentices: how often the learner would have done as its incumbent did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from agents.log import read_row
from agents.revision import Revision
from experiments.logs import LoggedDecisions, read_table
from policies.apprentice import agreement

_BATCH = 10_000  # rows as Python objects at a time


def agreement_lines(
    path: Path, log: LoggedDecisions, revisions: Mapping[str, Revision]
) -> Iterator[str]:
    """Say in one line how far an apprentice agreed with its incumbent, if the log has any.

    Open decisions count too: what both would do is known when it is decided.

    Args:
        path: the log.
        log: what was read of it, of one agent.
        revisions: by id, as far as they stand beside the log.
    """
    agents = {revisions[name].agent.agent for name in set(log.revision.tolist()) & set(revisions)}
    learning = [
        name
        for name, revision in revisions.items()
        if revision.agent.policy.incumbent is not None and revision.agent.agent in agents
    ]
    if not learning:
        return
    table = read_table(path)
    rows = table.filter(pc.is_in(table["revision"], value_set=pa.array(learning)))
    found = agreement(
        (read_row(row) for batch in rows.to_batches(_BATCH) for row in batch.to_pylist()),
        revisions,
    )
    if found.decisions:
        yield (
            f"the learner agreed with the incumbent in {found.share:.0%} of"
            f" {found.decisions:,} decisions"
        )
