"""What a loop's log takes to look at, to value and to be asked about rules, by command."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer

from experiments.evaluate import evaluate
from experiments.fairness.report import ask_fairness
from experiments.logs import read_log
from experiments.logs.inspecting import inspect_log
from experiments.streaming import evaluate_stream
from experiments.studies.many_actions.make import Articles, write_loop
from experiments.studies.table import Figure, Study, publish
from experiments.targets import uniform_target
from experiments.what_if.asked import Question, what_if
from experiments.what_if.change import Change
from experiments.what_if.reading import read_rows

ARTICLES = (900, 100_000)
_ROWS = 20_000
_TIGHTER = Change(guardrails=("variety.max=1", "quiet.max=10"))
_KIB = 1024.0  # in a MiB


@dataclass(frozen=True, slots=True)
class Taken:
    """What one command took.

    Args:
        cpu, wall: seconds.
        before, peak: resident MiB after importing, and at most.
    """

    cpu: float
    wall: float
    before: float
    peak: float


def _evaluate(log: Path) -> object:
    rows = read_log(log)
    return evaluate(rows, uniform_target(rows))


def _what_if(log: Path) -> object:
    return what_if(read_rows(log), _TIGHTER, Question(by="taste"))


COMMANDS: Mapping[str, Callable[[Path], object]] = {
    "quality": inspect_log,
    "evaluate": _evaluate,
    "evaluate --stream": lambda log: evaluate_stream(log, {"uniform": uniform_target}),
    "fairness": lambda log: ask_fairness(log, ("taste",)),
    "what-if": _what_if,
}


def measured(command: str, log: Path) -> Taken:
    """Run one of `COMMANDS` and say what it took."""
    before, cpu, wall = _peak(), time.process_time(), time.perf_counter()
    COMMANDS[command](log)
    return Taken(time.process_time() - cpu, time.perf_counter() - wall, before, _peak())


def measured_alone(command: str, log: Path) -> Taken:
    """Do the same in a fresh process, so that peak memory is that of this command alone."""
    words = [sys.executable, "-m", __name__, command, str(log)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own
    return Taken(**orjson.loads(done.stdout))


def study(rows: int = _ROWS, articles: Sequence[int] = ARTICLES, listed: int = 50) -> Study:
    """Measure each command on a log for each number of articles.

    Args:
        rows: of a log.
        articles: distinct ones.
        listed: of them by each request.
    """
    found: dict[str, Sequence[Figure]] = {}
    for count in articles:
        with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
            log = write_loop(Path(folder), rows, Articles(count, listed))
            for command in COMMANDS:
                taken = measured_alone(command, log)
                figures = (taken.cpu, taken.wall, taken.before, taken.peak)
                found[f"{command}, of {count:,}"] = [Figure(each) for each in figures]
    return Study(
        name="many_actions",
        title=f"A loop's log of {rows:,} decisions that list {listed} of many articles each",
        columns=("s of CPU", "s", "MiB once imported", "MiB at most"),
        rows=found,
        notes=("what-if: two tighter caps, prices of all rules, by three segments",),
        params={"rows": str(rows), "listed": str(listed), "articles": ",".join(map(str, articles))},
        digits=1,
    )


def main(
    rows: Annotated[int, typer.Option(min=100, help="Decisions of a log.")] = _ROWS,
    articles: Annotated[list[int] | None, typer.Option(help="Distinct ones; repeatable.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="Only write the log of the first number into this folder.")
    ] = None,
) -> None:
    """Measure, or write such a log to try commands on."""
    counts = articles or ARTICLES
    if to is not None:
        write_loop(to, rows, Articles(counts[0]))
        return
    publish(study(rows, counts))


def _peak() -> float:
    # not what getrusage says, which remembers the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / _KIB for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(asdict(measured(sys.argv[1], Path(sys.argv[2])))))
