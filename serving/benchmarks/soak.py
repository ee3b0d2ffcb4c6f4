"""The same load for a long time: memory, files and the write-ahead log must stay as they are.

Run it by `python -m serving.benchmarks.soak MINUTES`. Decisions at a fixed rate, and for each third
of them an outcome, so that the learner learns and snapshots are written and swapped all the time.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import orjson

from serving.benchmarks import processes
from serving.benchmarks.load import paced, run
from serving.benchmarks.questions import Customers, post
from serving.benchmarks.stand import Stand, private_folder, stand
from serving.benchmarks.tables import CONSOLE, heading, show
from serving.benchmarks.workspace import SMALL

_BETWEEN_S = 2.0
_LATER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server holds at one moment; memory and files in MiB."""

    minute: float
    replica: float
    learner: float
    wal: float
    ledger: float
    replica_files: int
    learner_files: int
    unread: int


@dataclass(slots=True)
class Talk:
    """Requests without end: each third decision that is answered has an outcome one day later."""

    customers: Customers
    outcomes: deque[bytes] = field(default_factory=deque)
    _heard: int = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the next request."""
        ready: deque[bytes] = deque()
        while True:
            if self.outcomes:
                yield self.outcomes.popleft()
                continue
            if not ready:
                ready.extend(self.customers.singles(SMALL, 8))
            yield ready.popleft()

    def hear(self, body: bytes) -> None:
        """Take up an answer."""
        answer = orjson.loads(body)
        self._heard += "action" in answer
        if "action" in answer and self._heard % 3 == 0:
            at = datetime.fromisoformat(answer["at"]) + _LATER
            outcome = {
                "outcome_id": uuid4().hex, "decision_id": answer["decision_id"],
                "outcome": "renewed" if self._heard % 4 else "complained", "at": at.isoformat(),
            }  # fmt: skip
            self.outcomes.append(post("/v1/outcomes", orjson.dumps(outcome)))


def _size_mib(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_size / 2**20
    return 0.0


def _sample(server: Stand, begun: float) -> Sample:
    replica, learner = server.replica("nextbest"), server.learner()
    ledger = server.settings.ledger
    return Sample(
        minute=(time.monotonic() - begun) / 60,
        replica=processes.rss_mib(replica),
        learner=processes.rss_mib(learner),
        wal=_size_mib(ledger.with_name(f"{ledger.name}-wal")),
        ledger=_size_mib(ledger),
        replica_files=processes.descriptors(replica),
        learner_files=processes.descriptors(learner),
        unread=server.unread(),
    )


def _watch(server: Stand, stop: threading.Event, samples: list[Sample]) -> None:
    begun = time.monotonic()
    while not stop.wait(_BETWEEN_S):
        samples.append(_sample(server, begun))


def _slope(samples: list[Sample], of: Callable[[Sample], float]) -> float:
    """Return the growth per minute over the second half, by least squares."""
    later = samples[len(samples) // 2 :]
    minutes = [each.minute for each in later]
    values = [of(each) for each in later]
    middle, level = sum(minutes) / len(minutes), sum(values) / len(values)
    spread = sum((minute - middle) ** 2 for minute in minutes)
    pairs = zip(minutes, values, strict=True)
    return sum((minute - middle) * (value - level) for minute, value in pairs) / spread


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The same load for a long time.")
    parser.add_argument("minutes", type=float, nargs="?", default=2.0)
    parser.add_argument("--rate", type=float, default=300.0)
    options = parser.parse_args()
    heading(f"Soak: {options.minutes:g} minutes at {options.rate:g} requests a second")
    samples: list[Sample] = []
    stop = threading.Event()
    with private_folder() as folder, stand(folder) as server:
        talk = Talk(Customers("soak"))
        watching = threading.Thread(target=_watch, args=(server, stop, samples))
        watching.start()
        try:
            turn = run(
                paced(server.port, iter(talk), options.rate, 60 * options.minutes, 64, talk.hear)
            )
        finally:
            stop.set()
            watching.join()
    parts = ("10 %", 0.1), ("middle", 0.5), ("end", 1.0)
    show(
        ("at", "replica MiB", "learner MiB", "WAL MiB", "ledger MiB", "replica files",
         "learner files", "unread"),
        (_row(name, samples[min(int(share * len(samples)), len(samples) - 1)])
         for name, share in parts),
    )  # fmt: skip
    CONSOLE.print(
        f"{turn.rate:,.0f} answered a second, {turn.refused} refused,"
        f" p99 {turn.percentile(0.99):.1f} ms; WAL at most {max(each.wal for each in samples):.1f}"
        f" MiB; growth over the second half, MiB a minute:"
        f" replica {_slope(samples, lambda each: each.replica):+.2f},"
        f" learner {_slope(samples, lambda each: each.learner):+.2f}"
    )


def _row(name: str, sample: Sample) -> tuple[str, ...]:
    sizes = (sample.replica, sample.learner, sample.wal, sample.ledger)
    counts = (sample.replica_files, sample.learner_files, sample.unread)
    return (name, *(f"{size:.1f}" for size in sizes), *(f"{count:,}" for count in counts))


if __name__ == "__main__":
    main()
