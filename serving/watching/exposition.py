"""The numbers of a replica as Prometheus text: names, labels and units, all in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from serving.watching.metrics import Histogram, Meters


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides for an agent now."""

    agent: str
    revision: str
    policy: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class State:
    """What is looked up when the numbers are asked for.

    Args:
        position: last entry of the log.
        unread: entries that the learner has not read.
        unread_s: age of the oldest of them in seconds, 0 if there is none.
        waiting: jobs that wait for the ledger.
        standing: what decides.
        counts: of things that wait or were given up, by name.
    """

    position: int
    unread: int
    unread_s: float
    waiting: int
    standing: tuple[Standing, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


class Numbers:
    """A collector over what was counted; made anew for each asking.

    Args:
        meters: what the replica counted of one workspace.
        http: what the replica counted of all requests.
        state: what stands now.
    """

    def __init__(self, meters: Meters, http: Meters, state: State) -> None:
        self._meters, self._http, self._state = meters, http, state

    def collect(self) -> Iterator[Metric]:
        """Yield every family of numbers."""
        yield from self._timings()
        yield from self._decisions()
        yield from self._audit()
        yield from self._gauges()

    def _timings(self) -> Iterator[Metric]:
        meters = self._meters
        stages = HistogramMetricFamily(
            "nextbest_decision_seconds", "Seconds of a decision by stage.", labels=["stage"]
        )
        for stage in ("queue", "decide", "commit", "whole"):
            _add(stages, [stage], getattr(meters, stage))
        yield stages
        commits = HistogramMetricFamily("nextbest_commit_seconds", "Seconds of a ledger's commit.")
        _add(commits, [], meters.commits)
        yield commits
        sizes = HistogramMetricFamily("nextbest_commit_jobs", "Jobs that were committed together.")
        _add(sizes, [], meters.batches)
        yield sizes
        requests = HistogramMetricFamily(
            "nextbest_http_request_seconds",
            "Seconds of requests; 499 if the caller had gone.",
            labels=["method", "route", "status"],
        )
        for (method, route, status), times in sorted(self._http.http.items()):
            _add(requests, [method, route, str(status)], times)
        yield requests

    def _decisions(self) -> Iterator[Metric]:
        by_agent = {
            "decisions": "Decisions made.",
            "none": "Decisions to do nothing.",
            "explored": "Decisions that passed over an action that the policy takes for better.",
        }
        for name, words in by_agent.items():
            family = CounterMetricFamily(f"nextbest_{name}", words, labels=["agent"])
            for agent, tally in sorted(self._meters.agents.items()):
                family.add_metric([agent], getattr(tally, name))
            yield family
        barred = CounterMetricFamily(
            "nextbest_barred", "Actions barred, by guardrail.", labels=["agent", "guardrail"]
        )
        for agent, tally in sorted(self._meters.agents.items()):
            for guardrail, count in tally.barred().items():
                barred.add_metric([agent, guardrail], count)
        yield barred
        dangling = CounterMetricFamily(
            "nextbest_dangling",
            "Rewards and activations of a loop's events that are unknown, or were given back.",
            labels=["agent", "report", "state"],
        )
        for labels, count in sorted(self._meters.dangling.items()):
            dangling.add_metric(list(labels), count)
        yield dangling
        yield CounterMetricFamily(
            "nextbest_replayed", "Decisions answered from the ledger.", value=self._meters.replayed
        )

    def _audit(self) -> Iterator[Metric]:
        mean = GaugeMetricFamily(
            "nextbest_propensity_weight",
            "Mean of 1 / (S p) since the start; 1 if draws follow the logged distributions.",
            labels=["agent"],
        )
        error = GaugeMetricFamily(
            "nextbest_propensity_weight_error", "Its standard error.", labels=["agent"]
        )
        for agent, tally in sorted(self._meters.agents.items()):
            mean.add_metric([agent], tally.mean_weight)
            error.add_metric([agent], tally.weight_error)
        yield mean
        yield error

    def _gauges(self) -> Iterator[Metric]:
        state = self._state
        plain = {
            "ledger_position": ("Last entry of the log.", state.position),
            "learner_unread": ("Entries that the learner has not read.", state.unread),
            "learner_unread_seconds": ("Age of the oldest of them.", state.unread_s),
            "waiting_jobs": ("Jobs that wait for the ledger.", state.waiting),
        }
        for name, (words, value) in plain.items():
            yield GaugeMetricFamily(f"nextbest_{name}", words, value=value)
        counts = GaugeMetricFamily(
            "nextbest_outcomes", "Reported outcomes that wait or were given up.", labels=["state"]
        )
        for name, count in sorted(state.counts.items()):
            counts.add_metric([name], count)
        yield counts
        labels = ["agent", "revision", "policy", "snapshot"]
        active = GaugeMetricFamily("nextbest_active", "What decides now.", labels=labels)
        for each in state.standing:
            active.add_metric([getattr(each, label) for label in labels], 1)
        yield active


def _add(family: HistogramMetricFamily, labels: list[str], times: Histogram) -> None:
    below, buckets = 0, []
    for bound, count in zip((*times.bounds, "+Inf"), times.counts, strict=True):
        below += count
        buckets.append((str(bound), below))
    family.add_metric(labels, buckets, times.total)


def exposed(meters: Meters, http: Meters, state: State) -> bytes:
    """Return the numbers in Prometheus's text format.

    Example:
        >>> text = exposed(Meters(), Meters(), State(7, 2, 0.5, waiting=0)).decode()
        >>> "nextbest_learner_unread 2.0" in text
        True
    """
    registry = CollectorRegistry()
    registry.register(Numbers(meters, http, state))
    return generate_latest(registry)
