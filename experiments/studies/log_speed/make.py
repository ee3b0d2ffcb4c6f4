"""A large made-up log in the log's schema, written a block at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.log import SCHEMA

ACTIONS = (
    NONE_ID,
    *(
        f"offer_{offer}/words@{channel}#{window}"
        for offer in range(6)
        for channel in ("email", "sms")
        for window in ("morning", "evening")
    ),
)
"""`none`, and 24 others: six offers by two channels, in two windows."""

_START = np.datetime64("2026-01-01T00:00:00", "us")
_STEP_US = 7_000_000
_FLOOR, _BARRED = 0.05, 0.1
_VALUE, _HARM, _COST = 80.0, -20.0, 0.01
_BLOCK = 65_536
_REASONS = np.array([None, "frequency: one contact a week"], dtype=np.object_)
_PER_CUSTOMER = 4

Floats = NDArray[np.float64]


def write_log(path: Path, rows: int, *, seed: int = 1) -> Path:
    """Write a log of closed decisions of the treatment group; the same seed gives the same rows.

    Customers have eight features and are decided about four times on average. The logging policy
    is a softmax with a floor of 5%; one action in ten is barred; 2 to 10% convert.
    """
    rng = np.random.default_rng(seed)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for start in range(0, rows, _BLOCK):
            count = min(_BLOCK, rows - start)
            writer.write_table(_block(rng, start, count, customers=rows // _PER_CUSTOMER + 1))
    return path


def _block(rng: np.random.Generator, start: int, count: int, *, customers: int) -> pa.Table:
    x = rng.normal(size=(count, 3))  # (n, 3)
    allowed = rng.random((count, len(ACTIONS))) >= _BARRED  # (n, A)
    allowed[:, 0] = True
    p = _softmax(x, allowed)  # (n, A)
    drawn = np.minimum((p.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1), len(ACTIONS) - 1)
    drawn = np.where(allowed[np.arange(count), drawn], drawn, 0)  # (n,)
    pull = 0.04 + 0.02 * np.tanh(x[:, 0] + np.cos(drawn))  # (n,)
    gain, harm = rng.random(count) < pull, (drawn > 0) & (rng.random(count) < 0.01)  # (n,)
    at = _START + (start + np.arange(count)) * np.timedelta64(_STEP_US, "us")
    of = rng.integers(0, customers, count)
    known: dict[str, pa.Array] = {
        "position": pa.array(start + np.arange(count)),
        "decision_id": pa.array([f"{number:032x}" for number in range(start, start + count)]),
        "at": _instants(at),
        "customer": pa.array([f"{number:032x}" for number in of.tolist()]),
        "context": pa.array(_contexts(rng, x)),
        "actions": _lists(np.tile(np.array(ACTIONS, dtype=np.object_), count)),
        "mask": _lists(_REASONS[(~allowed).astype(np.intp)].ravel()),
        "distribution": _lists(p.ravel()),
        "expected": _lists(np.where(allowed, p, np.nan).ravel()),
        "action": pa.array(np.array(ACTIONS, dtype=np.object_)[drawn]),
        "propensity": pa.array(p[np.arange(count), drawn]),
        "floor": pa.array(np.full(count, _FLOOR)),
        "explored": pa.array(np.zeros(count, dtype=np.bool_)),
        "outcomes": _outcomes(gain, harm, at),
        "reward": pa.array(_VALUE * gain + _HARM * harm - _COST * (drawn > 0)),
        "closed_at": _instants(at + np.timedelta64(14, "D")),
    }
    same = {"agent": "large", "revision": "r1", "policy": "softmax", "snapshot": "s1",
            "group": "treatment", "reason": "policy"}  # fmt: skip
    known |= {name: pa.array([text] * count) for name, text in same.items()}
    return pa.table(
        [
            known[field.name].cast(field.type)
            if field.name in known
            else pa.array([None] * count, field.type)
            for field in SCHEMA
        ],
        schema=SCHEMA,
    )


def _softmax(x: Floats, allowed: NDArray[np.bool_]) -> Floats:
    pull = np.sin(np.outer(np.arange(1, 4), np.arange(len(ACTIONS))))  # (3, A)
    score = np.where(allowed, np.exp(x @ pull), 0.0)
    soft = score / score.sum(axis=1, keepdims=True)
    even = allowed / allowed.sum(axis=1, keepdims=True)
    return np.asarray((1.0 - _FLOOR) * soft + _FLOOR * even)


def _contexts(rng: np.random.Generator, x: Floats) -> list[str]:
    count = len(x)
    columns = (
        x.round(4).tolist(),
        rng.gamma(2.0, 20.0, count).round(2).tolist(),
        rng.choice(["basic", "plus", "max"], count).tolist(),
        rng.choice(["true", "false"], count).tolist(),
        rng.integers(0, 90, count).tolist(),
        rng.integers(0, 12, count).tolist(),
        rng.integers(0, 3, count).tolist(),
    )
    contact = '{"at":"2025-12-24T10:00:00+00:00","channel":"email"}'
    return [
        f'{{"features":{{"a":{a},"b":{b},"c":{c},"bill":{bill},"plan":"{plan}","app_user":{app},'
        f'"tenure":{tenure},"zone":"z{zone}"}},"contacts":[{",".join([contact] * sent)}],'
        '"events":[],"usage":{},"placement":"","channels":["email","sms"],"suppressed":[]}'
        for (a, b, c), bill, plan, app, tenure, zone, sent in zip(*columns, strict=True)
    ]


def _lists(items: NDArray[np.generic]) -> pa.ListArray:
    ends = np.arange(0, len(items) + 1, len(ACTIONS), dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(items, from_pandas=True))


def _instants(at: NDArray[np.datetime64]) -> pa.Array:
    return pa.array(at, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))


def _outcomes(
    gain: NDArray[np.bool_], harm: NDArray[np.bool_], at: NDArray[np.datetime64]
) -> pa.ListArray:
    happened = np.stack([gain, harm], axis=1)  # (n, 2)
    row, kind = np.nonzero(happened)
    events = pa.StructArray.from_arrays(
        [
            pa.array(np.array(["bought", "unsubscribed"], dtype=np.object_)[kind]),
            pa.array(np.array([_VALUE, _HARM])[kind]),
            _instants(at[row] + np.timedelta64(1, "h")),
        ],
        ["outcome", "value", "at"],
    )
    ends = np.concatenate([[0], np.cumsum(happened.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), events)
