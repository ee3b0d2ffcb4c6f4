"""The whole platform in one run: a real server, simulated customers over HTTP, honest figures.

Every number of the closing table is computed from the exported log, as a researcher would; the
simulator's truth stands beside it. The learner learns from treatment only, so a policy is valued
on decisions that it has not learned from: the final learned policy on the random group's, the
uniform policy on the treatment group's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import orjson
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.catalog import write_example
from agents.checker import check_log
from agents.context import Context
from agents.errors import StateError
from agents.groups import Group
from agents.revision import Revision
from agents.rewards import closes_at
from experiments.demo.closing import PER, Closing, Row, Speed, group_rows, lift_rows, value_rows
from experiments.diagnostics import audit
from experiments.evaluate import declared_range, evaluate
from experiments.lift import expected_holdout, lift
from experiments.logs import LoggedDecisions, read_log
from experiments.revisions import hidden_features
from experiments.targets import snapshot_target, uniform_target
from policies.registry import load_learner
from policies.snapshot import unseal
from simulators.drive import DriveResult, drive, write_truth
from simulators.examples import example_revision
from simulators.traffic import Traffic
from simulators.truth import realised_value, value_of_none, value_of_uniform
from simulators.world import World
from simulators.worlds import create_world

Say = Callable[[str], None]
Progress = Callable[[int], None]

_START_S = 90.0
_STOP_S = 60.0
AGENT = "retention"


@dataclass(frozen=True, slots=True)
class Demo:
    """One run of the demo.

    Args:
        folder: where everything is kept; made if missing.
        customers, rounds, seed: of the simulated market.
        concurrency: requests under way at the same time.
    """

    folder: Path
    customers: int
    rounds: int
    seed: int
    concurrency: int

    @property
    def workspace(self) -> Path:
        """The example workspace, written for this run."""
        return self.folder / "workspace"

    @property
    def data(self) -> Path:
        """The server's ledger, keys and snapshots."""
        return self.folder / "server"

    @property
    def log(self) -> Path:
        """The exported decision log."""
        return self.folder / "log"

    @property
    def journal(self) -> Path:
        """What the server printed; every run leaves it, also one that failed."""
        return self.folder / "server.log"

    def remove(self) -> None:
        """Remove an earlier run.

        Raises:
            StateError: the folder holds something else.
        """
        empty = self.folder.is_dir() and not any(self.folder.iterdir())
        ours = self.journal.is_file() and self.workspace.is_dir()
        if self.folder.exists() and not empty and not ours:
            raise StateError(f"{self.folder} holds no earlier run of the demo; nothing removed")
        shutil.rmtree(self.folder, ignore_errors=True)


def run_demo(demo: Demo, say: Say, progress: Progress) -> Closing:
    """Serve, simulate, learn, stop, export, re-check and evaluate.

    Args:
        demo: what to run, and where.
        say: told each step.
        progress: told the number of decisions made so far.

    Raises:
        StateError: the server does not start, or the folder is taken.
    """
    if demo.journal.exists():
        raise StateError(
            f"{demo.folder} holds an earlier run; add --replace, or name another --folder"
        )
    world = create_world(
        "retention",
        example_revision(),
        customers=demo.customers,
        rounds=demo.rounds,
        seed=demo.seed,
    )
    write_example("telecom", demo.workspace)
    say("starting the server on Ray Serve (about 15 seconds)")
    with served(demo) as url:
        say(f"driving {demo.customers:,} customers through {demo.rounds} weeks over HTTP")
        traffic = Traffic(concurrency=demo.concurrency)
        driven = drive(world, url, agent=AGENT, traffic=traffic, progress=progress)
        say("stopping the server; the learner learns what is left")
    write_truth(driven, demo.folder / "truth.parquet")
    say("exporting the log, re-checking every decision, evaluating")
    _export(demo, world)
    closing = close(demo, world, driven)
    (demo.folder / "closing.json").write_bytes(
        orjson.dumps(closing.to_record(), option=orjson.OPT_INDENT_2)
    )
    return closing


@contextlib.contextmanager
def served(demo: Demo) -> Iterator[str]:
    """Run `nextbest serve` as a process of its own on a free port; yields its URL.

    Raises:
        StateError: it does not become ready, or does not stop cleanly.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "nextbest", "serve", str(demo.workspace)]
    command += ["--data", str(demo.data), "--port", str(port)]
    command += ["--clock", "driven", "--snapshot-every", "2"]
    # by default it would end this process alone, and leave the server
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with demo.journal.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "100"}
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, demo.journal)
            yield url
        finally:
            code = _stop(process)
            signal.signal(signal.SIGTERM, before)
    if code != 0:
        raise StateError(f"the server ended with {code}; {demo.journal} has the details")


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], journal: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StateError(f"the server did not start: {journal.read_text()[-2000:]}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=2.0).status_code == httpx.codes.OK:
                return
        time.sleep(0.2)
    raise StateError(f"the server was not ready within {_START_S:g} s; see {journal}")


def _stop(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _export(demo: Demo, world: World) -> None:
    agent = world.revision.agent
    now = closes_at(agent, world.end + world.every) + timedelta(days=1)
    command = [sys.executable, "-m", "nextbest", "export", str(demo.log)]
    command += ["--data", str(demo.data), "--at", now.isoformat()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise StateError(f"the log was not exported: {done.stderr.strip()}")


def close(demo: Demo, world: World, driven: DriveResult) -> Closing:
    """Compute the closing table from the exported log and the world's truth."""
    table = pq.read_table(demo.log / "decisions.parquet")
    log = read_log(demo.log)
    declared = expected_holdout(world.revision.workspace, world.revision.agent)
    measured = lift(log, holdout=declared)
    truth = _group_truth(world, driven)
    checked = audit(log.in_groups(Group.TREATMENT, Group.RANDOM))
    return Closing(
        currency=world.revision.workspace.currency,
        decisions=len(log),
        groups=group_rows(measured, truth.own),
        lifts=lift_rows(measured, truth.treated),
        values=_values(demo, world.revision, log, driven),
        breaches=len(check_log(table, demo.workspace)),
        mean_weight=checked.mean_weight,
        audit_passed=checked.passed,
        snapshots=len(list(demo.data.glob("snapshots/*/*.snapshot"))),
        speed=Speed.of(driven.latencies_ms, driven.seconds),
    )


@dataclass(frozen=True, slots=True)
class _Truth:
    """True reward per 1,000 customers: of each group's own, and of the treated under each rule."""

    own: dict[Group, float]
    treated: dict[Group, float]


def _group_truth(world: World, driven: DriveResult) -> _Truth:
    groups = np.array([_group(world, customer) for customer in range(world.customers)])  # (N,)
    earned = np.zeros(world.customers)  # (N,)
    np.add.at(earned, driven.customers, realised_value(driven.expected, driven.actions))
    own = {group: PER * float(earned[groups == group].mean()) for group in Group}
    treated = np.flatnonzero(groups == Group.TREATMENT)
    rules = {
        Group.TREATMENT: own[Group.TREATMENT],
        Group.RANDOM: PER * value_of_uniform(world, treated, repeats=1).mean,
        Group.CONTROL: PER * value_of_none(world, treated).mean,
    }
    return _Truth(own, rules)


def _group(world: World, customer: int) -> Group:
    name, features = world.customer_id(customer), world.features(customer, world.start)
    return world.revision.group(Context(name, world.start, features))


def _values(
    demo: Demo, revision: Revision, log: LoggedDecisions, driven: DriveResult
) -> tuple[Row, ...]:
    """Value the uniform policy on the treated, and the final learned policy on the random group."""
    treated, random = log.in_groups(Group.TREATMENT), log.in_groups(Group.RANDOM)
    learned = _learned_target(demo, revision, random)
    return (
        *_value(revision, driven, treated, uniform_target(treated), "uniform policy"),
        *_value(revision, driven, random, learned, "learned policy"),
    )


def _value(
    revision: Revision,
    driven: DriveResult,
    part: LoggedDecisions,
    target: NDArray[np.float64],
    name: str,
) -> tuple[Row, ...]:
    by_id = dict(zip(driven.decision_ids, driven.expected, strict=True))
    expected = np.array([by_id[decision] for decision in part.decision_id])  # (N, A)
    found = evaluate(
        part,
        target,
        name=name,
        reward_range=declared_range(revision),
        exclude=hidden_features(revision),
    )
    return value_rows(found, target, expected)


def _learned_target(demo: Demo, revision: Revision, part: LoggedDecisions) -> NDArray[np.float64]:
    """What the last published snapshot would have answered; (N, A)."""
    newest = max((demo.data / "snapshots" / AGENT).glob("*.snapshot"))
    key = (demo.data / "keys" / "snapshot.key").read_bytes()
    manifest, state = unseal(newest.read_bytes(), key)
    return snapshot_target(
        part, {revision.id: revision}, lambda known: load_learner(manifest.policy, state, known)
    )
