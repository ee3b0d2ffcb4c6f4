"""The study of estimators: its logs are what they say, and its table has a row for each."""

from __future__ import annotations

import numpy as np

from experiments.studies.estimating import NAMES, draw_log, errors, study
from experiments.weights import effective_size


def test_a_drawn_log_keeps_its_promises() -> None:
    rows, truth = draw_log(4_000, np.random.default_rng(1))
    np.testing.assert_allclose(rows.log.distribution.sum(axis=1), 1.0)
    np.testing.assert_allclose(rows.target.sum(axis=1), 1.0)
    spread = float(rows.weights.std()) / np.sqrt(4_000)
    assert abs(rows.weights.mean() - 1.0) < 4.0 * spread
    assert 0.02 < truth < 0.06
    assert 0.01 < effective_size(rows.weights) / 4_000 < 0.1


def test_unbiased_estimators_show_no_bias() -> None:
    found, _ = errors(1_000, 12)
    for name in ("ips", "snips", "dr"):
        gaps = np.array(found[name])
        assert abs(gaps.mean()) < 4.0 * gaps.std(ddof=1) / np.sqrt(12)


def test_every_estimator_has_its_row() -> None:
    found = study({200: 2})
    assert tuple(found.rows) == NAMES
    assert all(len(row) == 2 for row in found.rows.values())
    assert "dros=100" in found.text()
