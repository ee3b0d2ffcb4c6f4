"""Sequential tests of a difference: the mixture SPRT and its always-valid p-value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from experiments.intervals.asymptotic import Band, Floats


def msprt(value: ArrayLike, stderr: ArrayLike, tau: float) -> Floats:
    """Return the mixture likelihood ratio of "the effect is N(0, tau^2)" against "it is 0".

    With v = stderr^2: sqrt(v / (v + tau^2)) exp(tau^2 value^2 / (2 v (v + tau^2))). If there is no
    effect it ever exceeds 1/alpha with probability alpha at most, so one may look at any time.

    It assumes that the estimate is about normal at the first look and that its error is known;
    `tau` is the size of effect that is expected, in the unit of `value`, chosen beforehand.

    Args:
        value: the estimated effect at each look.
        stderr: its standard error; NaN where it cannot be known yet, which speaks neither way.
        tau: > 0.

    Raises:
        ValueError: tau is not positive.

    Source: Robbins, Annals of Mathematical Statistics 1970; Johari, Koomen, Pekelis and Walsh,
        Operations Research 2022.

    Example:
        >>> bool(msprt(0.0, 0.1, 0.1) < 1.0 < 20.0 < msprt(0.5, 0.1, 0.1))
        True
    """
    if not tau > 0.0:
        raise ValueError(f"expected tau above 0, the size of effect expected; got {tau!r}")
    error = np.asarray(stderr, dtype=np.float64)
    v = np.square(np.where(error > 0.0, error, np.nan))
    power = tau**2 * np.square(np.asarray(value, dtype=np.float64)) / (2.0 * v * (v + tau**2))
    ratio = np.sqrt(v / (v + tau**2)) * np.exp(np.minimum(power, 700.0))
    return np.asarray(np.where(np.isnan(ratio), 1.0, ratio))


def msprt_sequence(value: ArrayLike, stderr: ArrayLike, tau: float, level: float = 0.95) -> Band:
    """Return the effects that the mixture SPRT has not refused at each look.

    value -+ sqrt(2 v (v + tau^2) / tau^2 log(sqrt((v + tau^2) / v) / alpha)).

    Args:
        value: the estimated effect at each look.
        stderr: its standard error; NaN where it cannot be known yet.
        tau: size of effect that is expected, chosen beforehand.
        level: nominal coverage of all looks together, in (0, 1).

    Example:
        >>> band = msprt_sequence([0.5, 0.5], [0.1, np.nan], 0.1)
        >>> bool(band.low[0] > 0.0), float(band.low[1])
        (True, -inf)
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1, such as 0.95; got {level!r}")
    error = np.asarray(stderr, dtype=np.float64)
    v = np.square(np.where(error > 0.0, error, np.nan))
    both = v + tau**2
    reach = np.sqrt(2.0 * v * both / tau**2 * np.log(np.sqrt(both / v) / (1.0 - level)))
    known = np.where(np.isnan(reach), np.inf, reach)
    middle = np.nan_to_num(np.asarray(value, dtype=np.float64))
    return Band(middle - known, middle + known)


def always_valid_p(ratios: ArrayLike) -> Floats:
    """Return p-values that only fall, and hold at whatever look one stops: min(1, 1 / max ratio).

    Args:
        ratios: (..., looks) likelihood ratios or e-values, in the order of time.

    Example:
        >>> always_valid_p([0.5, 4.0, 2.0]).tolist()
        [1.0, 0.25, 0.25]
    """
    most = np.maximum.accumulate(np.asarray(ratios, dtype=np.float64), axis=-1)
    return np.asarray(1.0 / np.maximum(most, 1.0))
