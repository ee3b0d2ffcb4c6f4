"""Makes the sample log anew: `python -m experiments.samples.make FOLDER`.

A shop of four offers, one of them by two channels, and nothing. Customers have an age, a plan and
days since their last order; a made-up policy prefers what it believes they like and explores a
fifth of the time. What they buy is drawn from probabilities that the code states, so the truth is
known: see `expected_reward`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.logs.dsjson_export import export_dsjson
from experiments.logs.importers.base import FILE, log_file
from experiments.logs.importers.columns import read_columns
from experiments.logs.importers.plain import PlainLog
from experiments.samples.drinks import write_drinks

HERE = Path(__file__).parent
ACTIONS = ("none", "tea/plain@email", "tea/plain@push", "cake/slice@email", "gift/box@email")
COSTS = np.array([0.0, 0.02, 0.01, 0.02, 0.5])  # (A,) currency
VALUE = 20.0  # currency, of an order
_ROWS, _EVENTS, _CUSTOMERS = 1_500, 250, 600
_SEED = 20_261_123
_FLOOR = 0.2
_START = datetime(2026, 3, 2, 8, tzinfo=UTC)
_KEY = b"the sample log has no real customers"
_PULL = np.array([[0, 0, 0], [0.8, 0.1, 0], [-0.6, 0.5, 0], [0.1, 0.7, 0.3], [0.3, 0.2, 0.9]])
_COLUMNS = """\
# What the columns of shop.csv mean: nextbest import table shop.csv --columns columns.yaml --to log
action: action
propensity: propensity
outcome: order_value
cost: cost
decision_id: decision
at: at
customer: customer
group: group
distribution:
{distribution}
allowed: {{{allowed}}}
features: [age, plan, days]
"""


@dataclass(frozen=True)
class Shop:
    """The sample's customers, decisions and outcomes, N rows.

    Args:
        customer: (N,) numbers.
        features: (N, 3) age, plan and days, scaled to about -1 to 1.
        group: (N,) words.
        allowed: (N, A).
        distribution: (N, A), in ten-thousandths, so that text holds it exactly.
        drawn: (N,) places in `ACTIONS`.
        ordered: (N,) whether an order followed.
    """

    customer: NDArray[np.int64]
    features: NDArray[np.float64]
    group: NDArray[np.str_]
    allowed: NDArray[np.bool_]
    distribution: NDArray[np.float64]
    drawn: NDArray[np.int64]
    ordered: NDArray[np.bool_]


def make_shop(rows: int = _ROWS, seed: int = _SEED) -> Shop:
    """Draw the sample, the same for the same seed."""
    rng = np.random.default_rng(seed)
    people = rng.uniform(-1.0, 1.0, size=(_CUSTOMERS, 3)).round(2)
    people[:, 1] = np.where(people[:, 1] > 0.3, 1.0, -1.0)  # the plan has two levels
    groups = rng.choice(["treatment", "random", "control"], size=_CUSTOMERS, p=[0.7, 0.2, 0.1])
    customer = rng.integers(_CUSTOMERS, size=rows)
    features, group = people[customer], groups[customer]
    allowed = rng.random((rows, len(ACTIONS))) < 0.9
    allowed[:, 0] = True
    distribution = _distribution(features, group, allowed)
    drawn = (distribution.cumsum(axis=1) <= rng.random((rows, 1))).sum(axis=1)
    chances = order_chance(features)[np.arange(rows), drawn]
    ordered = rng.random(rows) < chances
    return Shop(customer, features, group, allowed, distribution, drawn, ordered)


def order_chance(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the true probability of an order after each action; (N, A)."""
    return np.asarray(1.0 / (1.0 + np.exp(2.4 - features @ _PULL.T - 0.3 * (COSTS > 0.0))))


def expected_reward(shop: Shop, target: NDArray[np.float64]) -> float:
    """Return what a policy (N, A) is truly worth, in currency per decision."""
    means = VALUE * order_chance(shop.features) - COSTS  # (N, A)
    return float((target * means).sum(axis=1).mean())


def make_samples(folder: Path) -> None:
    """Write `shop.csv`, `columns.yaml`, `shop.dsjson`, `log/` of a shop, and `drinks.dsjson`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_drinks(folder / "drinks.dsjson")
    write_csv(make_shop(), folder / "shop.csv")
    (folder / "columns.yaml").write_text(_columns(), encoding="utf-8")
    columns = read_columns(folder / "columns.yaml")
    with log_file(folder / "log" / FILE, whole=columns.whole) as part:
        for piece in PlainLog((folder / "shop.csv",), columns, "shop", _KEY).pieces():
            part.write(piece.table)
    few = folder / ".few.parquet"
    with log_file(few, whole=columns.whole) as part:
        for piece in PlainLog((folder / "shop.csv",), columns, "shop", _KEY).pieces():
            chosen = [place for place, group in enumerate(piece.table["group"].to_pylist())
                      if group == "treatment"][:_EVENTS]  # fmt: skip
            part.write(piece.table.take(chosen))
    export_dsjson(few, folder / "shop.dsjson")
    few.unlink()


def write_csv(shop: Shop, target: Path) -> None:
    """Write a shop's decisions as a table, with a column for each action's probability."""
    rows = (_row(shop, number) for number in range(len(shop.drawn)))
    with target.open("w", newline="", encoding="utf-8") as stream:
        names = ("decision", "at", "customer", "group", "age", "plan", "days", "action",
                 "propensity", "cost", "order_value", *_short("p"), *_short("ok"))  # fmt: skip
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(shop: Shop, number: int) -> dict[str, object]:
    age, plan, days = shop.features[number]
    drawn = int(shop.drawn[number])
    probabilities = shop.distribution[number].round(4).tolist()
    allowed = shop.allowed[number].astype(int).tolist()
    return {
        "decision": f"d{number}",
        "at": (_START + timedelta(minutes=7 * number)).strftime("%Y-%m-%dT%H:%MZ"),
        "customer": f"c{shop.customer[number]}",
        "group": shop.group[number],
        "age": round(45 + 25 * float(age)),
        "plan": "gold" if plan > 0.0 else "basic",
        "days": round(30 + 29 * float(days)),
        "action": ACTIONS[drawn],
        "propensity": probabilities[drawn],
        "cost": COSTS[drawn],
        "order_value": VALUE * int(shop.ordered[number]),
        **dict(zip(_short("p"), probabilities, strict=True)),
        **dict(zip(_short("ok"), allowed, strict=True)),
    }


def _distribution(
    features: NDArray[np.float64], group: NDArray[np.str_], allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the policy's probabilities in ten-thousandths, and those of the holdout groups."""
    score = np.where(allowed, np.exp(1.5 * features @ _PULL.T), 0.0)  # (N, A)
    even = allowed / allowed.sum(axis=1, keepdims=True)  # (N, A)
    mixed = (1.0 - _FLOOR) * score / score.sum(axis=1, keepdims=True) + _FLOOR * even
    nothing = np.eye(len(ACTIONS))[np.zeros(len(group), dtype=np.int64)]  # (N, A)
    chosen = np.select([group[:, None] == "control", group[:, None] == "random"],
                       [nothing, even], mixed)  # fmt: skip
    parts = np.floor(chosen * 10_000)  # (N, A)
    parts[:, 0] += 10_000 - parts.sum(axis=1)  # what rounding took goes to `none`
    return np.asarray(parts / 10_000)


def _short(prefix: str) -> Sequence[str]:
    return [f"{prefix}{number}" for number in range(len(ACTIONS))]


def _columns() -> str:
    pairs: Mapping[str, str] = dict(zip(ACTIONS, _short("p"), strict=True))
    distribution = "\n".join(f'  "{name}": {column}' for name, column in pairs.items())
    allowed = ", ".join(f'"{n}": {c}' for n, c in zip(ACTIONS, _short("ok"), strict=True))
    return _COLUMNS.format(distribution=distribution, allowed=allowed)


if __name__ == "__main__":
    make_samples(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
