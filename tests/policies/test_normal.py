from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, ndtr

from policies.propensities.normal import to_cdf, to_log_odds, to_sigmoid


def test_the_distribution_function_is_accurate_and_rises() -> None:
    score = np.linspace(-7.9, 7.9, 100_001)
    cdf = score.copy()
    to_cdf(cdf)
    assert np.abs(cdf - ndtr(score)).max() < 1e-9
    assert np.abs(cdf / ndtr(score) - 1.0).max() < 1e-5  # far tails included
    assert np.diff(cdf).min() > -1e-15


def test_the_log_odds_are_accurate_and_endless_outside() -> None:
    share = np.concatenate([np.geomspace(1e-299, 0.4, 5_000), np.linspace(0.4, 1 - 1e-12, 5_000)])
    found, odds = share.copy(), np.empty(share.size)
    to_log_odds(found, odds, odds.view(np.int64), np.empty(share.size))
    assert np.abs(found - logit(share)).max() < 1e-9
    beyond, odds = np.array([-0.1, 0.0, 1.0, 1.1]), np.empty(4)
    to_log_odds(beyond, odds, odds.view(np.int64), np.empty(4))
    assert beyond.tolist() == [-1e300, -1e300, 1e300, 1e300]


def test_the_sigmoid_is_accurate() -> None:
    eta = np.linspace(-690.0, 690.0, 100_001)
    found = eta.copy()
    to_sigmoid(found, np.empty(eta.size, dtype=np.int64))
    assert np.abs(found / expit(eta) - 1.0).max() < 1e-8
