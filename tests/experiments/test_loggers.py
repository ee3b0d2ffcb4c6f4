"""Balanced weights from the command line: who wrote what is found out, and not believed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from agents.errors import LogError, UnknownNameError
from experiments.logs import LoggedDecisions
from experiments.logs.importers.base import FILE, log_file
from experiments.logs.importers.columns import read_columns
from experiments.logs.importers.plain import PlainLog
from experiments.samples.make import (
    ACTIONS,
    Shop,
    expected_reward,
    make_shop,
    order_chance,
    write_csv,
)
from experiments.targets import uniform_target
from experiments.targets.loggers import likeliest_shares, mixture_of
from nextbest import app

SAMPLE = Path(__file__).parents[2] / "experiments" / "samples"
RULE = "when customer.plan == 'gold' then tea/plain@push else none"
BIPS = ("--estimator", "bips", "--force", "--json")
_TEA = ACTIONS.index("tea/plain@push")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *(str(a) for a in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ruled(shop: Shop) -> Any:
    """Return what `RULE` answers; (N, A)."""
    tea = (shop.features[:, 1] > 0.0) & shop.allowed[:, _TEA]
    return np.eye(len(ACTIONS))[np.where(tea, _TEA, 0)]


@pytest.fixture(scope="module")
def shop() -> Shop:
    """A shop's decisions: a third of them by uniform, all others by a rule without exploration."""
    known = make_shop(6_000, 5)
    rng = np.random.default_rng(6)
    even = known.allowed / known.allowed.sum(axis=1, keepdims=True)
    p = np.where((rng.random(6_000) < 1 / 3)[:, None], even, ruled(known)).round(4)
    p[:, 0] += 1.0 - p.sum(axis=1)
    drawn = (p.cumsum(axis=1) <= rng.random((6_000, 1)) * (1 - 1e-9)).sum(axis=1)
    ordered = rng.random(6_000) < order_chance(known.features)[np.arange(6_000), drawn]
    group = np.full(6_000, "treatment")
    return replace(known, distribution=p, drawn=drawn, ordered=ordered, group=group)


@pytest.fixture(scope="module")
def log(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loggers")
    write_csv(shop, folder / "shop.csv")
    columns = read_columns(SAMPLE / "columns.yaml")
    plain = PlainLog((folder / "shop.csv",), columns, "shop", b"a key of at least some bytes")
    with log_file(folder / "log" / FILE, whole=columns.whole) as part:
        for piece in plain.pieces():
            part.write(piece.table)
    return folder / "log"


def test_balanced_weights_find_the_truth_where_one_logger_never_tried(
    shop: Shop, log: Path
) -> None:
    """Uniform is worth what it is worth; by each decision's own propensity it is far from it."""
    truth = expected_reward(shop, shop.allowed / shop.allowed.sum(axis=1, keepdims=True))
    said = run(log, "--policy", "uniform", *BIPS, "--logger", "uniform", "--logger", RULE)
    assert said.exit_code == 0
    answer = json.loads(said.stdout)
    (found,) = answer["evaluations"][0]["estimates"]
    assert found["estimator"] == "bips"
    assert abs(found["value"] - truth) < 3.5 * found["stderr"]
    assert "--logger uniform" in answer["command"]
    alone = json.loads(run(log, "--policy", "uniform", "--estimator", "ips", *BIPS[2:]).stdout)
    (own,) = alone["evaluations"][0]["estimates"]
    assert abs(own["value"] - truth) > 3.5 * own["stderr"]


def test_what_bips_lacks_is_said_in_options(log: Path) -> None:
    asked = (log, "--policy", "uniform", *BIPS)
    with pytest.raises(LogError, match=r"expected --logger for each .* at least two, .* got none"):
        run(*asked)
    with pytest.raises(LogError, match=r"none of them answers as was logged in [\d,]+ of 6,000"):
        run(*asked, "--logger", "uniform", "--logger", "none")
    with pytest.raises(LogError, match="--logger fixed:gift/box@email: expected a policy that w"):
        mixed = ("--logger", "uniform", "--logger", RULE, "--logger", "fixed:gift/box@email")
        run(*asked, *mixed)
    with pytest.raises(LogError, match="--logger logged: expected a policy that stood still"):
        run(*asked, "--logger", "logged", "--logger", "uniform")
    with pytest.raises(UnknownNameError, match="--logger: 'unifrom' is no policy.*'uniform'"):
        run(*asked, "--logger", "unifrom", "--logger", RULE)
    with pytest.raises(LogError, match="--logger: only --estimator bips asks"):
        run(log, "--logger", "uniform")
    with pytest.raises(
        LogError, match="--blocks 1: expected a --policy that learns .* got uniform"
    ):
        run(log, "--policy", "uniform", "--blocks", 1)
    for flag in ("--at-once", "--progressive"):
        with pytest.raises(LogError, match=f"{flag}: expected a --policy that learns .* leave it"):
            run(log, "--policy", "uniform", "--policy", "fixed:none", flag)
    with pytest.raises(LogError, match="--stream: --logger finds out who wrote"):
        run(*asked, "--logger", "uniform", "--logger", RULE, "--stream")


def test_shares_are_of_what_one_logger_alone_explains(make_log: Any) -> None:
    """Half of the rows allow one action only, which any logger takes: they tell nothing."""
    base: LoggedDecisions = make_log(4_000, 3)
    rng = np.random.default_rng(4)
    allowed = base.allowed.copy()
    allowed[:2_000, 1:] = False
    even = allowed / allowed.sum(axis=1, keepdims=True)
    soft = np.where(allowed, [8.0, 1.0, 1.0, 1.0, 1.0], 0.0)
    soft = soft / soft.sum(axis=1, keepdims=True)
    p = np.where((np.arange(4_000) % 4 == 0)[:, None], even, soft)
    drawn = np.minimum((p.cumsum(axis=1) <= rng.random((4_000, 1))).sum(axis=1), 4)
    rows = np.arange(4_000)
    log = replace(base, allowed=allowed, distribution=p, action=drawn, propensity=p[rows, drawn])
    found = mixture_of(log, {"uniform": uniform_target(log), "soft": soft})
    telling = (np.abs(even - soft) > 1e-3).any(axis=1)
    share = float(np.mean((np.arange(4_000) % 4 == 0)[telling]))
    expected = share * even[rows, drawn] + (1.0 - share) * soft[rows, drawn]
    assert found == pytest.approx(expected)
    with pytest.raises(LogError, match="the probability of every action"):
        mixture_of(replace(log, whole=False), {"uniform": even, "soft": soft})


def test_who_often_answers_as_another_does_gets_its_share_all_the_same() -> None:
    """Two of three loggers answer alike in half of all contexts, and alone explain less for it."""
    rng = np.random.default_rng(5)
    n, shares = 60_000, np.array([0.2, 0.3, 0.5])
    who, alike = rng.choice(3, n, p=shares), rng.random(n) < 0.5
    wrote = np.arange(3)[:, None] == who
    wrote[:2] |= alike & (who < 2)
    found = likeliest_shares(wrote)
    assert found == pytest.approx(shares, abs=4 * np.sqrt(0.25 / n * 2))
    alone = (wrote & (wrote.sum(axis=0) == 1)).sum(axis=1)
    assert np.abs(alone / alone.sum() - shares).max() > 0.1


def test_shares_are_of_what_thinned_decisions_stand_for() -> None:
    """Of one logger's decisions a fourth was kept: it wrote half of them all the same."""
    wrote = np.array([[True] * 100 + [False] * 400, [False] * 100 + [True] * 400])
    stands = np.where(wrote[0], 4.0, 1.0)
    assert likeliest_shares(wrote, stands).tolist() == pytest.approx([0.5, 0.5])
