"""One evaluation of a streamed log, in a process of its own: seconds by pass, and peak memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from experiments.streaming import evaluate_stream
from experiments.streaming.passes import S, Step
from experiments.streaming.source import Piece
from experiments.targets import uniform_target

_KIB = 1024.0  # in a MiB


@dataclass(frozen=True, slots=True)
class Streaming:
    """What an evaluation took.

    Args:
        rows: decisions.
        passes: CPU seconds of each pass, by the name of its step.
        cpu, wall: seconds of the evaluation, all passes and what is between them.
        before, peak: resident MiB after importing, and at most.
    """

    rows: int
    passes: dict[str, float]
    cpu: float
    wall: float
    before: float
    peak: float


def measured(path: Path) -> Streaming:
    """Evaluate the uniform target on a log by SNIPS and DR, and say what it took."""
    passes: dict[str, float] = {}

    def run(step: Step[S], pieces: Sequence[Piece], /) -> Iterator[S]:
        name = type(step).__name__.strip("_")
        for piece in pieces:
            start = time.process_time()
            found = step(piece)
            passes[name] = passes.get(name, 0.0) + time.process_time() - start
            yield found

    before, cpu, wall = _peak(), time.process_time(), time.perf_counter()
    found = evaluate_stream(path, {"uniform": uniform_target}, run=run)
    return Streaming(
        rows=found.rows,
        passes=passes,
        cpu=time.process_time() - cpu,
        wall=time.perf_counter() - wall,
        before=before,
        peak=_peak(),
    )


def measured_alone(path: Path) -> Streaming:
    """Do the same in a fresh process, so that peak memory is that of this log alone."""
    command = [sys.executable, "-m", __name__, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own
    return Streaming(**orjson.loads(done.stdout))


def _peak() -> float:
    # not what getrusage says, which remembers the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / _KIB for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(measured(Path(sys.argv[1]))))
