"""Power: how many customers a comparison needs, and what holding some of them back costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, special

from experiments.intervals.asymptotic import multiplier, tuned_rho

_MOST_LIFT = 1e4
_MOST_DIGITS = 1e-10
_MOST_CUSTOMERS = 1e12


@dataclass(frozen=True)
class Design:
    """A comparison of treated customers with some who are held back.

    Args:
        base: what control does: the share of customers who convert, in (0, 1), or a mean amount.
        holdout: share of customers in control, in (0, 1).
        sd: standard deviation of the amounts; None if `base` is a share.
        power: how often a lift that is there shall be found.
        alpha: how often one that is not there may be, two-sided.
        sequential: whether the groups may be compared at any time, by a confidence sequence,
            rather than once.

    Raises:
        ValueError: something is out of range.
    """

    base: float
    holdout: float
    sd: float | None = None
    power: float = 0.8
    alpha: float = 0.05
    sequential: bool = False

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        _inside("--holdout", self.holdout, 0.0, 1.0)
        _inside("--alpha", self.alpha, 0.0, 0.5)
        _inside("--power", self.power, self.alpha, 1.0)
        _inside("--base", self.base, 0.0, 1.0 if self.sd is None else math.inf)
        if self.sd is not None:
            _inside("--sd", self.sd, 0.0, math.inf)

    def customers(self, lift: float) -> float:
        """Return how many customers in all groups find a relative lift.

        n = (z_(1 - alpha/2) + z_power)^2 (v0 / h + v1 / (1 - h)) / (base lift)^2, v being p (1 - p)
        of a share, or sd^2. The sequence's width at n customers takes the place of the first z.

        Args:
            lift: relative to the base, as 0.1 for a tenth more; negative for less.

        Raises:
            ValueError: no lift, one too small to be shown, or one that leads out of the range of
                a share.

        Example:
            >>> round(Design(base=0.02, holdout=0.05).customers(0.1), -3)
            814000.0
        """
        if lift == 0.0 or not math.isfinite(lift):
            raise ValueError(f"--lift: expected a relative lift other than 0, got {lift!r}")
        needed = self._needed(lift)
        if needed > _MOST_CUSTOMERS:
            raise ValueError(
                f"--lift: expected one that {_MOST_CUSTOMERS:,.0f} customers can show, got"
                f" {lift:g} over a base of {self.base:g}"
            )
        return needed

    def detectable(self, customers: float) -> float:
        """Return the least relative lift that so many customers find with the wanted power.

        Args:
            customers: in all groups.

        Raises:
            ValueError: not even the greatest lift possible would be found.
        """
        most = (1.0 / self.base - 1.0) * (1.0 - 1e-9) if self.sd is None else _MOST_LIFT
        if self.customers(most) > customers:
            raise ValueError(
                f"expected at least {self.customers(most):,.0f} customers to find any lift at all,"
                f" got {customers:,.0f}"
            )
        return _root(lambda lift: self._needed(lift) - customers, most)

    def evenest(self, lift: float) -> float:
        """Return the holdout that needs the fewest customers: s0 / (s0 + s1), s being the sds."""
        if self.sd is not None:
            return 0.5
        treated = self.base * (1.0 + lift)
        own = math.sqrt(self.base * (1.0 - self.base))
        return own / (own + math.sqrt(treated * (1.0 - treated)))

    def foregone(self, lift: float, customers: float) -> float:
        """Return what control would have brought beside, had it been treated: h x lift x base x n.

        In conversions if `base` is a share, else in its own unit.
        """
        return self.holdout * customers * self.base * lift

    @property
    def _reach(self) -> float:
        """Standard errors that the interval reaches; a sequence's where it is tuned best."""
        if self.sequential:
            return float(multiplier(1e6, tuned_rho(1e6, 1.0 - self.alpha), 1.0 - self.alpha))
        return float(special.ndtri(1.0 - self.alpha / 2.0))

    def _needed(self, lift: float) -> float:
        reach = self._reach + float(special.ndtri(self.power))
        gap = (self.base * lift) ** 2
        return reach**2 * self._spread(lift) / gap if gap > 0.0 else math.inf

    def _spread(self, lift: float) -> float:
        treated = self.base * (1.0 + lift)
        if self.sd is not None:
            return self.sd**2 / (self.holdout * (1.0 - self.holdout))
        if not 0.0 < treated < 1.0:
            raise ValueError(
                f"--lift: expected a share between 0 and 1 under treatment, got {treated:.4g}"
            )
        return self.base * (1.0 - self.base) / self.holdout + treated * (1.0 - treated) / (
            1.0 - self.holdout
        )


def holdout_for(design: Design, lift: float, customers: float) -> float | None:
    """Return the least holdout with which so many customers find a lift; None if none does.

    Args:
        design: its own holdout is not looked at.
        lift: relative to the base.
        customers: in all groups.

    Example:
        >>> round(holdout_for(Design(base=0.02, holdout=0.5), 0.1, 814_000), 3)
        0.05
    """

    def short(share: float) -> float:
        return _with(design, share)._needed(lift) - customers

    design.customers(lift)  # refuses a lift without sense
    best = design.evenest(lift)
    if short(best) > 0.0:
        return None
    return float(optimize.brentq(short, _MOST_DIGITS, best))


def _with(design: Design, holdout: float) -> Design:
    return Design(design.base, holdout, design.sd, design.power, design.alpha, design.sequential)


def _root(short: Callable[[float], float], most: float) -> float:
    return float(optimize.brentq(short, _MOST_DIGITS, most, xtol=1e-12))


def _inside(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        top = "" if math.isinf(high) else f" and below {high:g}"
        raise ValueError(f"{name}: expected a number above {low:g}{top}, got {value!r}")
