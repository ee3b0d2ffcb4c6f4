"""Servers that die, and databases of the tests' own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import httpx
import pytest

from agents.catalog import write_example
from agents.errors import StateError
from serving.running.ports import family, listeners, program
from serving.running.private_postgres import PrivatePostgres, private_postgres
from serving.settings import LEDGER_ENV, Settings

FORKED = Path(__file__).with_name("forked.py")
BUDGETS = """
  money: {rule: budget, measure: cost, max: 40, per: month}
  texts: {rule: budget, measure: contacts, max: 60, per: month, on: {channels: [sms]}}
"""
TWO_ACTIONS = """\
agent: sales
outcomes:
  bought: {value: 10, window: 7d, metric: primary}
offers:
  scarce:
    kind: promotion
    variants: {plain: {text: "Take it while it lasts."}}
    channels: [phone]
  plenty:
    kind: service
    variants: {plain: {text: "There is enough for everybody."}}
    channels: [web]
policy: {learner: uniform}
holdout: {control: 0, random: 0}
always_act: true
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL of the tests' own; without one the tests fail, unless told to skip."""
    if os.environ.get("NEXTBEST_TESTS_WITHOUT_POSTGRES") == "1":
        pytest.skip("NEXTBEST_TESTS_WITHOUT_POSTGRES=1")
    try:
        with private_postgres() as running:
            yield running
    except StateError as error:
        pytest.fail(f"{error}; or set NEXTBEST_TESTS_WITHOUT_POSTGRES=1")


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Empty for SQLite, then a schema of the test's own in PostgreSQL: each test runs on both."""
    if request.param == "sqlite":
        return ""
    server: PrivatePostgres = request.getfixturevalue("postgres")
    return server.schema(f"test_{uuid4().hex}")


@pytest.fixture
def telecom(tmp_path: Path) -> Path:
    """The example, with budgets that run dry: 24 actions and ten rules, hybrid Thompson."""
    folder = tmp_path / "telecom"
    write_example("telecom", folder)
    file = folder / "workspace.yaml"
    file.write_text(file.read_text().rstrip("\n") + BUDGETS)
    return folder


WriteShop = Callable[[str, str], Path]


@pytest.fixture
def write_shop(tmp_path: Path) -> WriteShop:
    """Write a workspace of one uniform agent with a scarce and a plentiful offer.

    Called with the rules of the workspace, a line each, and changes of the agent's text.
    """

    def write(rules: str, always_act: str = "true") -> Path:
        folder = tmp_path / "shop"
        (folder / "agents").mkdir(parents=True)
        (folder / "workspace.yaml").write_text(
            "workspace: shop\ncurrency: EUR\nzone: UTC\n"
            "customer:\n  spend: {type: number, min: 0, max: 1000}\n"
            "channels:\n  phone: {cost: 2}\n  web: {}\n"
            f"guardrails:\n{rules}"
        )
        text = TWO_ACTIONS.replace("always_act: true", f"always_act: {always_act}")
        (folder / "agents" / "sales.yaml").write_text(text)
        return folder

    return write


@dataclass(frozen=True)
class Point:
    """Where a life ends: before or after the n-th of something."""

    at: str
    when: Literal["before", "after"]
    n: int
    do: Literal["die", "ask"] = "die"


class Nursery:
    """Forks servers that share one socket, so that callers wait out the time between two lives.

    Args:
        settings: name the workspace, the data folder and the ledger of all lives.
        scratch: an empty folder.
    """

    def __init__(self, settings: Settings, scratch: Path) -> None:
        self.settings = settings  # a test brings its own
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._alive: set[int] = set()
        self._heard, report = os.pipe()
        ack, self._word = os.pipe()
        self.log = scratch / "lives.log"
        handles = (self._listener.fileno(), report, ack)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(FORKED), *map(str, handles)], pass_fds=handles, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        os.close(report)
        os.close(ack)
        self._ask("warm", data=str(scratch / "warm"), ledger_url="")

    def _ask(self, do: str, **more: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        command = {
            "do": do, "workspace": str(self.settings.workspace),
            "data": str(self.settings.data), "ledger_url": self.settings.ledger_url, **more,
        }  # fmt: skip
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self.log.read_text()[-3_000:]
        return int(answer)

    def serve(self, points: Sequence[Point] = (), *, from_start: bool = False) -> int:
        """Start a replica; return its process id.

        Args:
            points: where it dies or asks, in their order.
            from_start: whether to count from its first step, not from when it is ready.
        """
        told = [asdict(point) for point in points]
        pid = self._ask("serve", points=told, from_start=from_start)
        self._alive.add(pid)
        return pid

    def learn(self, folder: str, points: Sequence[Point] = ()) -> int:
        """Start a learner that learns the whole log and ends; return its process id."""
        told = [asdict(point) for point in points]
        pid = self._ask("learn", points=told, folder=folder)
        self._alive.add(pid)
        return pid

    def wait(self) -> bool:
        """Wait until one has ended; return whether it was killed."""
        ended = self._ask("wait")
        self._alive.remove(abs(ended))
        return ended > 0

    def kill(self, pid: int) -> None:
        """Kill one at once."""
        os.kill(pid, signal.SIGKILL)
        self.wait()

    def heard(self) -> None:
        """Wait until a replica has come to a point at which it asks; it waits in turn."""
        assert os.read(self._heard, 1) == b"!", self.log.read_text()[-3_000:]

    def go_on(self) -> None:
        """Let it go on."""
        os.write(self._word, b".")

    def clear(self) -> None:
        """Kill whoever is left."""
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
        while self._alive:
            self.wait()

    def close(self) -> None:
        """End; a life that has outlasted its test is killed."""
        for pid in self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)
        self._listener.close()
        os.close(self._heard)
        os.close(self._word)


class Line:
    """One caller's connection; made anew after it was cut.

    Args:
        port: of loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._line: http.client.HTTPConnection | None = None

    def post(self, path: str, body: dict[str, Any], key: str = "") -> tuple[int, Any, Any]:
        """Ask once; return the status, the headers and what was answered.

        Raises:
            OSError, HTTPException: the connection was cut.
        """
        if self._line is None:
            self._line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        self._line.request("POST", path, json.dumps(body), headers)
        answer = self._line.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
            self._line = None


@pytest.fixture
def point() -> type[Point]:
    return Point


@pytest.fixture
def line() -> type[Line]:
    return Line


@pytest.fixture(scope="session")
def one_nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    write_example("telecom", folder / "telecom")
    with contextlib.closing(Nursery(Settings(folder / "telecom", folder), folder)) as made:
        yield made


@pytest.fixture
def nursery(one_nursery: Nursery) -> Iterator[Callable[[Settings], Nursery]]:
    """Make servers for some settings; whoever lives at the end of the test is killed."""

    def use(settings: Settings) -> Nursery:
        one_nursery.settings = settings
        return one_nursery

    yield use
    one_nursery.clear()


@dataclass(frozen=True)
class OnRay:
    """A server on Ray that answers, with its process, where it answers and what it prints."""

    process: subprocess.Popen[bytes]
    url: str
    printed: Path

    def replicas(self) -> dict[int, str]:
        """Return where each replica answers by itself, past HAProxy, by its process id."""
        found = {
            pid for pid in family(self.process.pid) if program(pid).startswith("ray::ServeRepli")
        }
        first = int(os.environ["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"])
        return {
            pid: f"http://127.0.0.1:{one.port}"
            for pid in found for one in listeners(pid) if first <= one.port < first + 100
        }  # fmt: skip


@contextlib.contextmanager
def serve_on_ray(
    workspace: Path, data: Path, port: int, *options: str, ledger: str = ""
) -> Iterator[OnRay]:
    """Run `nextbest serve`; at the end it is told to stop, and must end cleanly."""
    command = [str(Path(sys.executable).parent / "nextbest"), "serve", str(workspace)]
    printed = data.with_name(f"{data.name}.printed")
    with printed.open("w+") as out:
        process = subprocess.Popen(
            [*command, "--data", str(data), "--port", str(port), *options],
            stdout=out, stderr=subprocess.STDOUT,
            env=os.environ | ({LEDGER_ENV: ledger} if ledger else {}),
        )  # fmt: skip
        server = OnRay(process, f"http://127.0.0.1:{port}", printed)
        try:
            _await_answer(server)
            yield server
        finally:  # by itself, if it can: killed, it would leave its folder behind
            process.terminate()
            try:
                code = process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait(30)
    said = printed.read_text()
    assert code == 0, said
    assert "stopping: " in said
    assert said.rstrip().endswith("stopped")


def _await_answer(server: OnRay) -> None:
    ready, deadline = False, time.monotonic() + 120
    while not ready and server.process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            ready = httpx.get(f"{server.url}/readyz").is_success
        time.sleep(0.02)
    assert ready, server.printed.read_text()


ServeOnRay = Callable[..., AbstractContextManager[OnRay]]


@pytest.fixture(scope="session")
def on_ray() -> ServeOnRay:
    """Run `nextbest serve` on Ray inside a context: `on_ray(workspace, data, port, *options)`."""
    return serve_on_ray
