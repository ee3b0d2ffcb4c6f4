"""Forks servers and learners that are ready at once and die where they are told to.

Run by the tests as a process of its own: LISTENER REPORT ACK, three handles. It reads one command
a line, as JSON, and answers each with one line. The wrapping is all here: no part of the product
knows of it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

import serving.learning.learner
from serving.app import make_app
from serving.learning.learner import Learner
from serving.learning.pupil import Pupil
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import LedgerReader, open_reader
from serving.ledger.postgres import PostgresDatabase
from serving.ledger.postgres_link import Link
from serving.ledger.sqlite import SqliteDatabase
from serving.settings import Settings, load_keys

PATIENCE = 3_000
"""Steps after which a point is taken as reached: the product may no longer go where it lies."""

LONGEST_S = 100
"""Seconds after which a life that does not end is an error."""

SERVER = (
    (SqliteDatabase, "begin", "begin"),
    (SqliteDatabase, "rows", "read"),
    (SqliteDatabase, "run", "write"),
    (SqliteDatabase, "commit", "commit"),
    (PostgresDatabase, "begin", "begin"),
    (PostgresDatabase, "rows", "read"),
    (PostgresDatabase, "run", "write"),
    (PostgresDatabase, "committing", "commit"),
    (Link, "journey", "journey"),
)
LEARNER = (
    (LedgerReader, "entries", "read"),
    (Pupil, "hear", "update"),
    (SnapshotFolder, "publish", "publish"),
    (SnapshotFolder, "mark_learned", "mark"),
    (os, "fsync", "fsync"),
    (Path, "replace", "rename"),
)


class Fate:
    """Where a process dies, or waits for what its parent does: counted, never timed.

    Args:
        points: in their order; each as {"at": what, "when": "before" or "after", "n": which time,
            "do": "die" or "ask"}.
        ask: reports to the parent and waits for its word.
    """

    def __init__(self, points: list[dict[str, Any]], ask: Callable[[], None]) -> None:
        self._points, self._ask = list(points), ask
        self._seen: Counter[str] = Counter()
        self._steps = 0
        self._lock = threading.Lock()
        self.armed = False

    def reach(self, at: str, when: str) -> None:
        with self._lock:
            if not self.armed or not self._points:
                return
            self._seen[at] += when == "before"
            self._steps += 1
            point = self._points[0]
            here = (point["at"], point["when"]) == (at, when) and self._seen[at] >= point["n"]
            if not here and self._steps < PATIENCE:
                return
            if point["do"] == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            self._points.pop(0)
            self._seen.clear()
            self._steps = 0
            self._ask()

    def hook(self, owner: Any, name: str, at: str) -> None:
        """Put a point before and after each call of a function."""
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def hooked(*args: Any, **named: Any) -> Any:
            self.reach(at, "before")
            result = plain(*args, **named)
            self.reach(at, "after")
            return result

        @functools.wraps(plain)
        async def awaited(*args: Any, **named: Any) -> Any:
            self.reach(at, "before")
            result = await plain(*args, **named)
            self.reach(at, "after")
            return result

        setattr(owner, name, awaited if inspect.iscoroutinefunction(plain) else hooked)


class Server(uvicorn.Server):
    """Counts from when it is ready."""

    def __init__(self, config: uvicorn.Config, fate: Fate) -> None:
        super().__init__(config)
        self._fate = fate

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._fate.armed = True


def serve(settings: Settings, fate: Fate, listener: socket.socket) -> None:
    app = make_app(settings)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def reply(message: Any) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if last:
                fate.reach("reply", "before")
            await send(message)
            if last:
                fate.reach("reply", "after")

        await app(scope, receive, reply)

    config = uvicorn.Config(watched, log_level="critical", lifespan="on", ws="none")
    Server(config, fate).run(sockets=[listener])


def learn(settings: Settings, fate: Fate, folder: str) -> None:
    serving.learning.learner.BATCH = 10
    fate.armed = True
    snapshots = SnapshotFolder(settings.data / folder, load_keys(settings.data).snapshot)
    learner = Learner(open_reader(settings), snapshots, every_s=0.0)
    learner.resume()
    while learner.step():
        learner.publish()
    learner.publish(force=True)
    learner.ledger.close()


def warm(settings: Settings) -> None:
    """Open and close everything once, so that every life has it compiled and read."""

    async def go() -> None:
        app = make_app(settings)
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(go())


def live(command: dict[str, Any], listener: socket.socket, ask: Callable[[], None]) -> None:
    """Be the server or the learner, in a fresh fork, to the end."""
    fate = Fate(command.get("points", []), ask)
    fate.armed = bool(command.get("from_start"))
    serves = command["do"] == "serve"
    for owner, name, at in SERVER if serves else LEARNER:
        fate.hook(owner, name, at)
    settings = settings_of(command)
    if serves:
        serve(settings, fate, listener)
    else:
        learn(settings, fate, command["folder"])


def settings_of(command: dict[str, Any]) -> Settings:
    return Settings(
        Path(command["workspace"]), Path(command["data"]), clock="driven", max_waiting=64,
        ledger_url=command["ledger_url"],
    )  # fmt: skip


def fork(command: dict[str, Any], listener: socket.socket, ask: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.dup2(2, 1)  # what is printed is no answer
        live(command, listener, ask)
        code = 0
    finally:
        os._exit(code)


def main() -> None:
    handle, report, ack = map(int, sys.argv[1:])
    listener = socket.socket(fileno=handle)

    def ask() -> None:
        os.write(report, b"!")
        os.read(ack, 1)

    for line in sys.stdin:
        command = json.loads(line)
        answer = 0
        if command["do"] == "warm":
            warm(settings_of(command))
        elif command["do"] == "wait":
            signal.alarm(LONGEST_S)
            answer, status = os.wait()
            signal.alarm(0)
            if os.WIFEXITED(status):
                if os.WEXITSTATUS(status):
                    sys.exit(f"a life ended in an error: {status}")
                answer = -answer
        else:
            answer = fork(command, listener, ask)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
