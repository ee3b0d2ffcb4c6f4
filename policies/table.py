"""Decisions for a whole table of customers: the very ones that `decide` makes one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.groups import Group
from agents.keyed import keyed
from agents.revision import Revision
from agents.tabular.batch import Batch
from agents.tabular.groups import GROUPS, group_table
from agents.tabular.masks import Reasons, reason_codes
from agents.tabular.reading import read_batches
from agents.units import require_utc
from policies.base import Policy
from policies.decide import CONTROL, explore
from policies.features.encode import Encoder
from policies.features.encode_table import encode_table
from policies.rowwise import draws, mix_floors, uniform_draws

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

_TREATED, _CONTROL = GROUPS.index(Group.TREATMENT), GROUPS.index(Group.CONTROL)


@runtime_checkable
class TablePolicy(Protocol):
    """A policy that answers for many customers at once, in the bits of one by one."""

    @property
    def encoder(self) -> Encoder:
        """What makes x of a customer."""

    def answers(self, x: Numbers, allowed: Flags) -> tuple[Numbers, Numbers]:
        """Return the probability of each action among the allowed, and its expected reward.

        Args:
            x: (N, D) as of the encoder.
            allowed: (N, A), at least one true in each row.

        Returns:
            (N, A) float64 before the floor, exactly 0 where barred; (N, A) float64 in currency.
        """


@runtime_checkable
class BatchPolicy(Protocol):
    """A policy that reads a batch in its own way, such as one that sees more than a context."""

    def answers_of(
        self, rows: Batch, which: NDArray[np.intp], allowed: Flags
    ) -> tuple[Numbers, Numbers]:
        """Return what `TablePolicy.answers` does of some rows.

        Args:
            rows: N customers.
            which: (T,) rows to answer for.
            allowed: (T, A), at least one true in each row.
        """


@dataclass(frozen=True, slots=True)
class Drawn:
    """The decisions of one batch of N customers over A actions.

    Args:
        groups: (N,) positions among `agents.tabular.groups.GROUPS`.
        codes: (N, A) numbers of the reasons for which actions are barred, 0 where they are not.
        reasons: what the numbers stand for.
        allowed: (N, A), the control group's held out.
        distribution: (N, A) what was drawn from.
        chances: (N, A) the policy's, before the floor; even where it was not asked.
        expected: (N, A) of the policy, NaN where it has none or was not asked.
        actions: (N,) positions of the drawn actions.
    """

    groups: NDArray[np.intp]
    codes: NDArray[np.int32]
    reasons: Reasons
    allowed: Flags
    distribution: Numbers
    chances: Numbers
    expected: Numbers
    actions: NDArray[np.intp]

    @property
    def propensity(self) -> Numbers:
        """The probability with which each drawn action was drawn, (N,)."""
        return self.distribution[np.arange(len(self.actions)), self.actions]

    @property
    def explored(self) -> Flags:
        """Whether an allowed action that the policy likes better was passed over, (N,).

        It likes best what it expects most of; without expectations, the likeliest before the floor.
        """
        rows = np.arange(len(self.actions))
        blind = np.isnan(self.expected[rows, self.actions])[:, None]  # (N, 1)
        likes = np.where(blind, self.chances, self.expected)  # (N, A)
        drawn = likes[rows, self.actions][:, None]  # (N, 1)
        found: Flags = np.any(self.allowed & (likes > drawn), axis=1)
        return found


def decide_table(
    revision: Revision,
    policy: Policy,
    customers: pa.Table,
    *,
    at: datetime,
    secret: bytes,
    decision_ids: Sequence[str] | None = None,
    contacts: pa.Table | None = None,
    events: pa.Table | None = None,
    usage: Mapping[str, float] | None = None,
    snapshot: str = "",
    with_distribution: bool = False,
    batch: int = 16_384,
) -> pa.Table:
    """Decide for each customer of a table at one moment, inside the guardrails.

    Nothing is committed: what is used of the organisation's budgets is read once, and two
    customers of one table may both be given what is there only once.

    Args:
        revision: the active revision of the agent.
        policy: learner of the treatment group, built for this revision; one that is no
            `TablePolicy` is asked one by one.
        customers: as of `agents.tabular.mask_table`; N rows.
        at: the instant of the decisions, with an offset.
        secret: the server's key, without which nobody can foresee a draw.
        decision_ids: N of them, unique; made of revision, instant and customer if not given.
        contacts: as of `mask_table`.
        events: likewise.
        usage: likewise.
        snapshot: id of the policy's snapshot, for the log.
        with_distribution: add the distributions that were drawn from.
        batch: customers that are worked on at a time; memory grows with it.

    Returns:
        N rows of `decision_id`, `customer`, `group`, `action` (its id), `propensity`, `allowed`
        (how many actions could be drawn) and, if asked for, `distribution` (A numbers in the
        revision's order). The schema's metadata name agent, revision, policy, snapshot and instant.

    Raises:
        ContextError: as `mask_table`.
        ValueError: `at` has no offset, or there are more or fewer ids than customers.
        StateError: the policy's probabilities are not finite, or all on barred actions.

    Example:
        >>> from agents.catalog import example_folder
        >>> from agents.load import load_workspace
        >>> from policies.registry import create_policy
        >>> with example_folder("telecom") as folder:
        ...     revision = load_workspace(folder).revisions["retention"]
        >>> customers = pa.table({"customer": ["ann", "bob"], "consent_sms": [True, None]})
        >>> noon = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
        >>> policy = create_policy(revision)
        >>> decided = decide_table(revision, policy, customers, at=noon, secret=b"key")
        >>> decided.num_rows, decided.column_names[2:5]
        (2, ['group', 'action', 'propensity'])
    """
    at = require_utc(at)
    if decision_ids is not None and len(decision_ids) != customers.num_rows:
        raise ValueError(
            f"expected {customers.num_rows} decision ids, one a customer, got {len(decision_ids)}"
        )
    tables = [_empty(revision, with_distribution)]
    done = 0
    for rows in read_batches(
        revision, customers, at=at, contacts=contacts, events=events, usage=usage, batch=batch
    ):
        given = None if decision_ids is None else decision_ids[done : done + rows.count]
        ids = _ids(rows, secret) if given is None else list(given)
        tables.append(_decided(rows, policy, ids, secret, with_distribution=with_distribution))
        done += rows.count
    named = {
        "agent": revision.agent.agent, "revision": revision.id, "policy": policy.name,
        "snapshot": snapshot, "at": at.isoformat(),
    }  # fmt: skip
    return pa.concat_tables(tables).replace_schema_metadata(named)


def _decided(
    rows: Batch, policy: Policy, ids: list[str], secret: bytes, *, with_distribution: bool
) -> pa.Table:
    """Decide for one batch."""
    revision = rows.revision
    drawn = draw_batch(rows, policy, ids, secret)
    count = np.count_nonzero(drawn.allowed, axis=1)  # (N,)
    columns = [
        pa.array(ids, pa.string()), pa.array(rows.customers, pa.string()),
        _named(drawn.groups, GROUPS), _named(drawn.actions, revision.action_ids),
        pa.array(drawn.propensity), pa.array(count.astype(np.int32)),
    ]  # fmt: skip
    if with_distribution:
        size, flat = len(revision.actions), pa.array(drawn.distribution.ravel())
        columns.append(pa.FixedSizeListArray.from_arrays(flat, size))
    return pa.table(columns, schema=_schema(revision, with_distribution))


def draw_batch(
    rows: Batch,
    policy: Policy,
    ids: Sequence[str],
    secret: bytes,
    groups: NDArray[np.intp] | None = None,
) -> Drawn:
    """Decide for each customer of a batch, in the very bits of `policies.decide.decide`.

    Args:
        rows: N customers.
        policy: as of `decide_table`.
        ids: N of the decisions.
        secret: the server's key.
        groups: (N,) positions among `GROUPS` that hold instead of the agent's own assignment.

    Raises:
        StateError: the policy's probabilities are not finite, or all on barred actions.
    """
    revision, reasons = rows.revision, Reasons()
    codes = reason_codes(rows, reasons)  # (N, A)
    groups = group_table(rows) if groups is None else groups  # (N,)
    _hold_out(codes, groups == _CONTROL, reasons)
    allowed: Flags = np.ascontiguousarray(np.equal(codes, 0))  # (N, A)
    probabilities = allowed / np.count_nonzero(allowed, axis=1)[:, None]  # (N, A)
    expected = np.full(probabilities.shape, np.nan)  # (N, A)
    treated = np.flatnonzero(groups == _TREATED)  # (T,)
    if treated.size and isinstance(policy, BatchPolicy):
        answer = policy.answers_of(rows, treated, allowed[treated])
        probabilities[treated], expected[treated] = answer
    elif treated.size and isinstance(policy, TablePolicy):
        x = encode_table(policy.encoder, rows)  # (N, D)
        probabilities[treated], expected[treated] = policy.answers(x[treated], allowed[treated])
    else:
        for row in treated.tolist():
            single = policy.distribution(rows.context(row), reasons.mask(codes[row]))
            probabilities[row], expected[row] = single.probabilities, single.expected
    floor = np.where(groups == _TREATED, revision.agent.policy.deciding_floor, 1.0)  # (N,)
    distribution = mix_floors(probabilities, allowed, floor)  # (N, A)
    if revision.agent.policy.floor_over == "offers":
        for row in treated.tolist():
            distribution[row] = explore(revision, probabilities[row], allowed[row])
    actions = draws(distribution, uniform_draws(secret, ids))  # (N,)
    return Drawn(groups, codes, reasons, allowed, distribution, probabilities, expected, actions)


def _hold_out(codes: NDArray[np.int32], held: Flags, reasons: Reasons) -> None:
    """Bar everything but `none` for the control group, as `hold_out` does; codes (N, A)."""
    if held.any():
        mine = codes[held]
        codes[held] = np.where(mine == 0, reasons.codes([CONTROL])[0], mine)
        codes[held, 0] = 0


def _ids(rows: Batch, secret: bytes) -> list[str]:
    """Make ids that tell nothing of the customer, and are the same if it is decided again."""
    start, mac = f"id\0{rows.revision.id}\0{rows.at.isoformat()}\0", keyed(secret)
    return [mac((start + customer).encode())[:16].hex() for customer in rows.customers]


def _named(positions: NDArray[np.intp], names: Sequence[str]) -> pa.Array:
    words = pa.array([str(name) for name in names], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(positions.astype(np.int32)), words)


def _schema(revision: Revision, with_distribution: bool) -> pa.Schema:
    word = pa.dictionary(pa.int32(), pa.string())
    fields = [
        ("decision_id", pa.string()), ("customer", pa.string()), ("group", word),
        ("action", word), ("propensity", pa.float64()), ("allowed", pa.int32()),
    ]  # fmt: skip
    if with_distribution:
        fields.append(("distribution", pa.list_(pa.float64(), len(revision.actions))))
    return pa.schema(fields)


def _empty(revision: Revision, with_distribution: bool) -> pa.Table:
    return _schema(revision, with_distribution).empty_table()
