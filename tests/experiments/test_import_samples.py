"""The sample log is what its code makes, is true to its stated truth, and is small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from experiments import samples
from experiments.evaluate import evaluate
from experiments.logs import read_log
from experiments.logs.inspecting import inspect_log
from experiments.samples.make import (
    ACTIONS,
    expected_reward,
    make_samples,
    make_shop,
)
from experiments.targets import uniform_target

HERE = Path(samples.__file__).parent
MOST_BYTES = 200_000
MADE = ("shop.csv", "columns.yaml", "shop.dsjson", "drinks.dsjson", "log/decisions.parquet")


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    make_samples(folder)
    return folder


def test_the_files_are_what_the_code_makes(anew: Path) -> None:
    for name in MADE[:4]:
        assert (HERE / name).read_bytes() == (anew / name).read_bytes(), name
    shipped, made = (pq.read_table(folder / "log" / "decisions.parquet") for folder in (HERE, anew))
    assert shipped.equals(made)
    assert sorted(p.name for p in anew.iterdir()) == [
        "columns.yaml",
        "drinks.dsjson",
        "log",
        "shop.csv",
        "shop.dsjson",
    ]


def test_the_files_are_small() -> None:
    for name in MADE:
        assert (HERE / name).stat().st_size < MOST_BYTES, name


def test_nothing_is_wrong_with_the_log() -> None:
    quality = inspect_log(HERE / "log")
    assert quality.findings == ()
    assert quality.whole
    assert min(quality.groups.values()) > 100


def test_estimates_cover_the_stated_truth() -> None:
    log = read_log(HERE / "log").in_groups("treatment", "random")
    shop = make_shop()
    assert log.actions == ACTIONS
    used = np.isin(shop.group, ["treatment", "random"])
    allowed = shop.allowed[used]
    np.testing.assert_array_equal(log.allowed, allowed)
    target = np.zeros((len(shop.drawn), len(ACTIONS)))
    target[used] = uniform_target(log)
    truth = expected_reward(shop, target) * len(target) / len(log)
    for estimate in evaluate(log, uniform_target(log)).estimates:
        assert abs(estimate.value - truth) < 3.0 * estimate.stderr
        assert estimate.low < truth < estimate.high
