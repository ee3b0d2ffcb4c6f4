"""Historic logs: what a company left behind that chose by what its records do not show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from agents.context import Context
from agents.decisions import Decision, OutcomeEvent, Reason
from agents.groups import Group
from agents.log import log_row, log_table
from agents.mask import Mask
from agents.memory import Memory
from agents.rewards import closes_at
from policies.decide import draw
from simulators.market.chance import Luck, uniforms
from simulators.market.market import Market
from simulators.market.signals import signal_names

Floats = NDArray[np.float64]

BELIEVED = 0.5
"""Share of customers that the company says it wrote to, by lot."""

_NO_LOGGING = (
    "the world {!r} says nothing of an old company; expected one whose document has 'logging',"
    " such as 'confounded'"
)
_POLICY = "records"
_KEY = b"historic log"  # of the customer hash; the customers are made up


@dataclass(frozen=True)
class HistoricLog:
    """A decision log, and what its records do not tell; N decisions about different customers.

    Args:
        table: of the log's schema, with the distributions that the records claim.
        recorded: (N, A) those distributions: nothing with one half, else any allowed action alike.
        true: (N, A) the distributions that were drawn from.
        expected: (N, A) currency, exact expected reward of every action at each decision.
    """

    table: pa.Table
    recorded: Floats
    true: Floats
    expected: Floats


def historic_log(market: Market, n: int) -> HistoricLog:
    """Let a company without our software decide once about each of the first n customers.

    It writes to a customer with probability s = logistic(w . z), w the world's `logging` weights
    and z the customer's true numbers, hidden ones among them; what it then sends is drawn evenly
    from the E actions that the guardrails allow. Its records say s = 1/2. Where nothing is
    allowed, both are right. The world begins anew.

    Args:
        market: one whose document has `logging`, such as `confounded`.
        n: decisions, from 2 to the world's customers.

    Raises:
        ValueError: a market without `logging`, or an n outside its range.

    Example:
        >>> from simulators.examples import example_revision
        >>> from simulators.worlds.confounded import Confounded
        >>> log = historic_log(Confounded(example_revision(), customers=20), 20)
        >>> log.table.num_rows, log.true.shape
        (20, (20, 25))
    """
    if market.spec.logging is None:
        raise ValueError(_NO_LOGGING.format(market.name))
    if not 2 <= n <= market.customers:
        raise ValueError(f"n: expected 2 to {market.customers}, the world's customers, got {n}")
    market.reset()
    met = sorted((market.opportunity(customer, 0), customer) for customer in range(n))
    made = [_decided(market, customer) for _, customer in met]
    decisions, events, true, expected = zip(*made, strict=True)
    closed = max(closes_at(market.revision.agent, decision.at) for decision in decisions)
    rows = (
        log_row(i, decision, market.revision, heard, now=closed, key=_KEY)
        for i, (decision, heard) in enumerate(zip(decisions, events, strict=True))
    )
    recorded = np.stack([decision.distribution for decision in decisions])
    return HistoricLog(log_table(rows), recorded, np.stack(true), np.stack(expected))


def _decided(market: Market, customer: int) -> tuple[Decision, list[OutcomeEvent], Floats, Floats]:
    """Return a decision, what followed, what it was drawn from, and what was expected."""
    at = market.opportunity(customer, 0)
    context = market.context(customer, at, Memory())
    mask = market.revision.mask(context)
    true = _spread(mask, _chosen(market, customer))
    luck = uniforms(market.seed, Luck.LOGGING, 0, np.array([customer]), 0, 1)
    decision = _recorded(market, context, mask, draw(true, float(luck[0, 0])))
    expected = market.expected_rewards(customer, at)
    happenings = market.respond(customer, 0, decision.action, at, decision.send_at)
    events = [happening.event(decision.decision_id) for happening in happenings]
    return decision, events, true, expected


def _chosen(market: Market, customer: int) -> float:
    """Return the probability that the company writes to a customer if it may."""
    z = market.signals(np.array([customer]), market.opportunity(customer, 0))[0]  # (K,)
    given = market.spec.logging or {}
    weights = np.array([given.get(name, 0.0) for name in signal_names(market.spec)])  # (K,)
    return float(expit(weights @ z))


def _spread(mask: Mask, share: float) -> Floats:
    """Return 1 - share for `none`, and the rest evenly over the other allowed actions; (A,)."""
    others = mask.allowed.copy()
    others[0] = False
    count = int(others.sum())
    if not count:
        share = 0.0
    spread = np.where(others, share / max(1, count), 0.0)
    spread[0] = 1.0 - share
    return spread


def _recorded(market: Market, context: Context, mask: Mask, action: int) -> Decision:
    revision = market.revision
    customer = int(context.customer.removeprefix("c"))
    return Decision(
        decision_id=f"old-{market.decision_key(customer, 0)}",
        at=context.at,
        agent=revision.agent.agent,
        revision=revision.id,
        policy=_POLICY,
        snapshot="",
        group=Group.TREATMENT,
        reason=Reason.ALL_BARRED if mask.all_barred else Reason.POLICY,
        context=context,
        actions=revision.action_ids,
        mask=mask,
        distribution=_spread(mask, BELIEVED),
        expected=np.full(len(mask.reasons), np.nan),
        action=action,
        floor=0.0,
        explored=False,
        send_at=revision.send_at(revision.actions[action], context),
    )
