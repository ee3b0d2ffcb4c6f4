"""What a replica counts is what happened, and what it says is Prometheus text."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.catalog import write_example
from agents.decisions import Decision
from agents.load import load_workspace
from agents.mask import Mask
from agents.memory import Memory
from policies.decide import decide, draw
from policies.registry import create_policy
from serving.watching.exposition import Standing, State, exposed
from serving.watching.metrics import Histogram, Meters, Stopwatch, Tally

Features = dict[str, Any]
Serve = Callable[..., AbstractContextManager[httpx.Client]]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def read(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.fixture(scope="module")
def decision(tmp_path_factory: pytest.TempPathFactory) -> Decision:
    folder = tmp_path_factory.mktemp("metrics") / "telecom"
    write_example("telecom", folder)
    revision = load_workspace(folder).revisions["retention"]
    context = Memory().recall(revision, "ann", AT, {"consent_email": True})
    made = decide(revision, create_policy(revision), context, decision_id="d", secret=b"s")
    assert made.mask.allowed.any()
    return made


def test_a_histogram_counts_a_bound_below_itself() -> None:
    times = Histogram((1.0, 2.0))
    for each in (0.5, 1.0, 1.5, 2.5):
        times.add(each)
    assert (times.counts, times.total) == ([2, 1, 1], 5.5)


def test_the_weight_has_mean_one_when_draws_follow_the_distribution(decision: Decision) -> None:
    tally, rng = Tally(), np.random.default_rng(1)
    chances = np.where(np.arange(len(decision.actions)) < 3, (0.7, 0.25, 0.05, *[0.0] * 22), 0.0)
    for u in rng.random(4_000):
        tally.add(replace(decision, distribution=chances, action=draw(chances, float(u))))
    assert abs(tally.mean_weight - 1.0) < 4 * tally.weight_error
    assert tally.weight_error < 0.05


def test_the_weight_shows_draws_that_do_not_follow_the_distribution(decision: Decision) -> None:
    tally, rng = Tally(), np.random.default_rng(1)
    chances = np.zeros(len(decision.actions))
    chances[:2] = 0.8, 0.2
    for u in rng.random(4_000):  # an even draw, logged as one of 4 to 1
        tally.add(replace(decision, distribution=chances, action=int(u < 0.5)))
    assert abs(tally.mean_weight - 1.0) > 10 * tally.weight_error


def test_without_decisions_the_weight_is_unknown() -> None:
    assert math.isnan(Tally().mean_weight)
    assert math.isnan(Tally().weight_error)


def test_bars_are_counted_by_guardrail_however_many_texts_there_are(decision: Decision) -> None:
    tally = Tally()
    for number in range(700):  # more texts than are kept
        reasons = (None, f"monthly: {number} of 700 sent", "consent: refused", *[None] * 22)
        tally.add(replace(decision, mask=Mask(reasons)))
    assert tally.barred() == {"consent": 700, "monthly": 700}
    assert tally.barred() == {"consent": 700, "monthly": 700}


def test_a_replayed_decision_is_no_other_decision(decision: Decision) -> None:
    meters, watch = Meters(), Stopwatch()
    meters.decided(decision, watch, replayed=False)
    meters.decided(decision, watch, replayed=True)
    assert (meters.agents["retention"].decisions, meters.replayed) == (1, 1)
    assert sum(meters.whole.counts) == 1


def test_a_stopwatch_knows_when_a_job_that_failed_was_done() -> None:
    def fail(_state: None, _request: None) -> None:
        raise ValueError("no")

    watch = Stopwatch()
    with pytest.raises(ValueError, match="no"):
        watch.run(fail, None, None)
    assert watch.queued <= watch.begun <= watch.done


def test_the_text_is_prometheus(decision: Decision) -> None:
    meters, http = Meters(), Meters()
    meters.decided(decision, Stopwatch(), replayed=False)
    meters.committed(3, 0.0007)
    http.answered("GET", "/v1/agents", 200, 0.003)
    standing = (Standing("retention", "r1", "hybrid_thompson", 's"1'),)
    state = State(9, 2, 1.5, waiting=4, standing=standing, counts={"dead": 1, "pending": 5})
    samples = read(exposed(meters, http, state).decode())
    assert value(samples, "nextbest_decisions_total", agent="retention") == 1
    assert value(samples, "nextbest_commit_jobs_bucket", le="2.0") == 0
    assert value(samples, "nextbest_commit_jobs_bucket", le="4.0") == 1
    assert value(samples, "nextbest_commit_seconds_sum") == 0.0007
    got = {"method": "GET", "route": "/v1/agents", "status": "200"}
    assert value(samples, "nextbest_http_request_seconds_count", **got) == 1
    assert value(samples, "nextbest_learner_unread") == 2
    assert value(samples, "nextbest_outcomes", state="pending") == 5
    active = {"agent": "retention", "revision": "r1", "policy": "hybrid_thompson"}
    assert value(samples, "nextbest_active", **active, snapshot='s"1') == 1


def test_a_server_counts_what_it_does(client: httpx.Client, features: Features) -> None:
    body = {"agent": "retention", "features": features, "at": AT.isoformat()}
    for number in range(6):
        client.post("/v1/decisions", json=body | {"customer": f"canary-{number}"})
    client.post(
        "/v1/decisions", json=body | {"customer": "canary-k"}, headers={"Idempotency-Key": "k"}
    )
    client.post(
        "/v1/decisions", json=body | {"customer": "canary-k"}, headers={"Idempotency-Key": "k"}
    )
    client.get("/v1/customers/canary-1")
    client.get("/nowhere/canary-1")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = read(answer.text)
    assert value(samples, "nextbest_decisions_total", agent="retention") == 7
    assert value(samples, "nextbest_replayed_total") == 1
    for stage in ("queue", "decide", "commit", "whole"):
        assert value(samples, "nextbest_decision_seconds_count", stage=stage) == 7
    posted = {"method": "POST", "route": "/v1/decisions", "status": "200"}
    assert value(samples, "nextbest_http_request_seconds_count", **posted) == 8
    asked = {"method": "GET", "route": "/v1/customers/{customer}", "status": "200"}
    assert value(samples, "nextbest_http_request_seconds_count", **asked) == 1
    lost = {"method": "GET", "route": "other", "status": "404"}
    assert value(samples, "nextbest_http_request_seconds_count", **lost) == 1
    last = value(samples, "nextbest_ledger_position")
    assert value(samples, "nextbest_learner_unread") == last >= 8  # no learner runs here
    assert "canary" not in answer.text


def test_the_learner_s_lag_is_what_it_has_not_read(
    serve: Serve, features: Features, tmp_path: Path
) -> None:
    with serve() as client:
        body = {"agent": "retention", "customer": "ann", "features": features}
        for minute in range(3):
            client.post("/v1/decisions", json=body | {"at": f"2026-03-02T09:0{minute}:00Z"})
        position = value(read(client.get("/metrics").text), "nextbest_ledger_position")
        (tmp_path / "data" / "snapshots").mkdir(exist_ok=True)
        (tmp_path / "data" / "snapshots" / "read").write_text(str(int(position) - 2))
        samples = read(client.get("/metrics").text)
    assert value(samples, "nextbest_learner_unread") == 2
    assert value(samples, "nextbest_learner_unread_seconds") == 60.0
