"""Sample ratio: whether the groups' sizes can come from the declared shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from agents.revision import Revision
from agents.spec import Agent, Holdout, Workspace
from experiments.intervals.sequential import always_valid_p

SUSPICIOUS = 1e-3
"""A p-value below it says that the assignment is broken: no lift is shown then."""

_PRIOR = 100.0  # customers that the prior of the sequential test is worth


def expected_holdout(workspace: Workspace, agent: Agent) -> Holdout | None:
    """Return the shares that an agent's groups come to, the universal control included.

    Customers are put into the universal control first and then, independently, into groups. None
    if that cannot be said: the groups are managed elsewhere, everybody is in the universal
    control, or both are drawn with the same salt.

    Example:
        >>> from agents.spec import UniversalControl
        >>> workspace = Workspace.model_construct(universal_control=UniversalControl(share=0.5))
        >>> agent = Agent.model_construct(holdout=Holdout(control=0.25, random=0.25))
        >>> found = expected_holdout(workspace, agent)
        >>> (found.control, found.random)
        (0.625, 0.125)
    """
    universal, own = workspace.universal_control, agent.holdout
    if own.managed is not None:
        return None
    if universal is None or universal.share == 0.0:
        return own
    if universal.share == 1.0 or universal.salt == own.salt:
        return None
    left = 1.0 - universal.share
    shares = {"control": universal.share + left * own.control, "random": left * own.random}
    return own.model_copy(update=shares)


def declared_shares(names: Iterable[str], revisions: Mapping[str, Revision]) -> Holdout | None:
    """Return the shares by which all customers of a log were assigned.

    Args:
        names: ids of all revisions that decided.
        revisions: by id, as far as they are known.

    Returns:
        None if a revision is unknown, if they differ, or if groups are managed elsewhere.
    """
    known = [revisions.get(name) for name in names]
    declared = {
        None if found is None else expected_holdout(found.workspace, found.agent) for found in known
    }
    return declared.pop() if len(declared) == 1 else None


def sample_ratio(sizes: Sequence[int], holdout: Holdout) -> float:
    """Return the p-value of a chi-square test of group sizes against the declared shares.

    Args:
        sizes: customers in treatment, random and control.
        holdout: the declared shares of random and control.

    Source: Fabijan et al., KDD 2019, on sample ratio mismatch.

    Example:
        >>> holdout = Holdout(control=0.2, random=0.2)
        >>> sample_ratio([600, 200, 200], holdout), sample_ratio([600, 200, 100], holdout) < 1e-3
        (1.0, True)
    """
    shares = shares_of(holdout)  # (3,)
    seen = np.array(sizes, dtype=np.float64)  # (3,)
    expected = shares * seen.sum()  # (3,)
    if np.any((expected == 0.0) & (seen > 0.0)):
        return 0.0
    real = expected > 0.0
    statistic = float(np.sum((seen[real] - expected[real]) ** 2 / expected[real]))
    df = int(np.count_nonzero(real)) - 1
    return float(special.chdtrc(df, statistic)) if df else 1.0


def shares_of(holdout: Holdout) -> NDArray[np.float64]:
    """Return the declared shares of treatment, random and control; (3,)."""
    return np.array([1.0 - holdout.random - holdout.control, holdout.random, holdout.control])


@dataclass(frozen=True, slots=True)
class RatioPath:
    """The sequential test of the groups' sizes, customer by customer.

    Args:
        log_evidence: (C,) logarithm of the Bayes factor against the declared shares.
        p: (C,) always-valid p-values, which only fall.
    """

    log_evidence: NDArray[np.float64]
    p: NDArray[np.float64]

    @property
    def alarm(self) -> int | None:
        """How many customers had come when the shares were first refused; None if never."""
        bad = self.p < SUSPICIOUS
        return int(np.argmax(bad)) + 1 if bad.any() else None


def ratio_path(groups: ArrayLike, shares: ArrayLike, prior: float = _PRIOR) -> RatioPath:
    """Test group sizes against declared shares after every single customer.

    Each customer multiplies the evidence by (a_k + n_k) / (sum a + n) / share_k, k being the
    customer's group and n_k those seen before in it: the posterior predictive of a multinomial
    with a Dirichlet(a) prior, over what was declared. Under the declared shares this is a
    martingale that starts at 1, so it ever exceeds 1/p with probability p at most. It assumes
    that customers are assigned independently of each other, and nothing else.

    Args:
        groups: (C,) each customer's group, by its place in `shares`, in the order of arrival.
        shares: (K,) declared probabilities, which sum to 1. A customer in a group of share 0 is
            proof that they are wrong.
        prior: how many customers the prior is worth, a = prior x shares: more finds smaller
            faults, later.

    Source: Lindon and Malek, NeurIPS 2022 (arXiv 2011.03567).

    Example:
        >>> rng = np.random.default_rng(1)
        >>> declared = [0.9, 0.1]
        >>> right, wrong = (rng.choice(2, 20_000, p=[1 - p, p]) for p in (0.1, 0.12))
        >>> ratio_path(right, declared).alarm is None, ratio_path(wrong, declared).alarm is None
        (True, False)
    """
    codes = np.asarray(groups, dtype=np.int64)  # (C,)
    declared = np.asarray(shares, dtype=np.float64)  # (K,)
    before = np.zeros(len(codes))  # (C,) customers seen earlier in the same group
    for group in range(len(declared)):
        mine = codes == group
        before[mine] = np.arange(np.count_nonzero(mine))
    with np.errstate(divide="ignore", invalid="ignore"):
        predicted = (prior * declared[codes] + before) / (prior + np.arange(len(codes)))
        steps = np.where(declared[codes] > 0.0, np.log(predicted / declared[codes]), np.inf)
    path = np.cumsum(steps)
    return RatioPath(path, always_valid_p(np.exp(np.minimum(path, 700.0))))
