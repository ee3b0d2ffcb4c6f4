"""Servers on Ray whose requests pass Ray by end, change and grow under load, and lose nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from agents.catalog import write_example
from serving.ledger import open_reader
from serving.running.deploy import Plan, serve_config, to_yaml
from serving.running.environment import haproxy_wanted
from serving.running.private_postgres import PrivatePostgres
from serving.settings import LEDGER_ENV, Settings

pytestmark = pytest.mark.skipif(not haproxy_wanted(), reason="the lane stands behind HAProxy")

OURS = re.compile("[0-9a-f]{16}")  # Ray's own names of requests are longer, and have dashes
CLIENTS = 8

ROLL = """
import json, shutil, sys, tempfile, threading, time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from serving.running.environment import set_ray_environment, short_place
private = Path(tempfile.mkdtemp("", "nextbest-", short_place(tempfile.gettempdir())))
folder, port = Path(sys.argv[1]), int(sys.argv[2])
from serving.settings import Settings
set_ray_environment(private, Settings(Path(), Path(), port=port, max_waiting=32))
import httpx, ray
from ruamel.yaml import YAML
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema
config = YAML(typ="safe").load(folder / "serve.yaml")
ray.init(
    address="local", num_cpus=8, include_dashboard=False, object_store_memory=80 * 2**20,
    _temp_dir=str(private / "ray"), log_to_driver=False, logging_level="ERROR",
)
serve.start(proxy_location=config["proxy_location"], http_options=config["http_options"])
client = _get_global_client()
client.deploy_apps(ServeDeploySchema(**config), _blocking=False)

def replicas():
    app = client.get_serve_details()["applications"].get("nextbest", {"deployments": {}})
    found = app["deployments"].get("nextbest", {"replicas": []})["replicas"]
    return {each["pid"] for each in found if each["state"] == "RUNNING"}, len(found)

stop, came, said, decided = threading.Event(), Counter(), set(), []
question = json.loads((folder / "body.json").read_text())

def talk(number):
    count = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        while not stop.is_set():
            count += 1
            body = question | {"customer": f"c{number}-{count}"}
            try:
                answer = http.post("/v1/decisions", json=body)
            except httpx.TransportError as error:
                came[type(error).__name__] += 1
                continue
            came[answer.status_code] += 1
            if answer.status_code == 200:
                decided.append(answer.json()["decision_id"])
                said.add(answer.headers["X-Request-Id"])
            elif "Retry-After" in answer.headers:
                stop.wait(0.1)
            else:
                came[answer.text[:200]] += 1

def wait(reached):
    deadline = time.monotonic() + 100
    while not reached():
        assert time.monotonic() < deadline, (replicas(), came)
        time.sleep(0.2)

wait(lambda: replicas()[0])
with ThreadPoolExecutor(8) as pool:
    talks = [pool.submit(talk, number) for number in range(8)]
    try:
        wait(lambda: len(replicas()[0]) == 2)  # it grows, since Ray hears of what is under way
        before = replicas()[0]
        config["applications"][0]["args"]["auth"] = "none"
        config["applications"][0]["deployments"][0]["ray_actor_options"] = {"num_cpus": 0.5}
        client.deploy_apps(ServeDeploySchema(**config), _blocking=False)
        wait(lambda: not before & replicas()[0] and replicas()[1] == 2)
        after = len(decided)
        wait(lambda: len(decided) > after + 50)
    finally:
        stop.set()
[each.result() for each in talks]
with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
    kept = [http.get(f"/v1/decisions/{each}").status_code for each in decided[::7]]
found = {"came": {str(k): v for k, v in came.items()}, "said": sorted(said), "kept": kept}
(folder / "found.json").write_text(json.dumps(found))
serve.shutdown()
ray.shutdown()
shutil.rmtree(private, ignore_errors=True)
"""


@contextlib.contextmanager
def served(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    write_example("telecom", folder / "telecom")
    program = Path(sys.executable).parent / "nextbest"
    command = [str(program), "serve", str(folder / "telecom"), "--data", str(folder / "data")]
    with (folder / "printed").open("w+") as printed:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--clock", "driven"],
            stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while "ready:" not in (folder / "printed").read_text():
                assert process.poll() is None, (folder / "printed").read_text()
                assert time.monotonic() < deadline, "not ready within two minutes"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.wait()


def question(features: dict[str, Any]) -> dict[str, Any]:
    return {"agent": "retention", "features": features, "at": "2026-03-02T09:00:00Z"}


def test_told_to_stop_under_load_it_finishes_what_it_has_taken_up(
    tmp_path: Path, features: dict[str, Any], free_port: int
) -> None:
    """Every decision that was answered is in the ledger; all else was refused, or cut off."""
    decided, refused, enough = dict[str, str](), list[httpx.Response](), threading.Event()

    def talk(client: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", timeout=20) as http:
            for number in range(100_000):
                body = question(features) | {"customer": f"c{client}-{number}"}
                try:
                    answer = http.post("/v1/decisions", json=body)
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    refused.append(answer)
                    return
                decided[answer.json()["decision_id"]] = answer.headers["X-Request-Id"]
                if len(decided) > 20 * CLIENTS:
                    enough.set()

    with served(tmp_path, free_port) as process, ThreadPoolExecutor(CLIENTS) as pool:
        talks = [pool.submit(talk, client) for client in range(CLIENTS)]
        try:
            assert enough.wait(60)
        finally:
            process.send_signal(signal.SIGTERM)
        for each in talks:
            each.result()
        assert process.wait(90) == 0, (tmp_path / "printed").read_text()
    assert [name for name in decided.values() if not OURS.fullmatch(name)] == []
    for answer in refused:
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) >= 1
    settings = Settings(tmp_path / "telecom", tmp_path / "data")
    with contextlib.closing(open_reader(settings)) as reader:
        assert [each for each in decided if reader.find_decision(each) is None] == []


def test_it_grows_and_is_replaced_under_load(
    tmp_path: Path, features: dict[str, Any], free_port: int, postgres: PrivatePostgres
) -> None:
    write_example("telecom", tmp_path / "telecom")
    plan = Plan(
        str(tmp_path / "telecom"), str(tmp_path / "data"), "i", replicas=1, max_replicas=2,
        max_waiting=32, clock="driven", auth="none",
    )  # fmt: skip
    config = serve_config(plan, host="127.0.0.1", port=free_port)
    scaling = {"target_ongoing_requests": 1, "upscale_delay_s": 0.5, "metrics_interval_s": 0.5}
    config["applications"][0]["deployments"][0]["autoscaling_config"] |= scaling
    (tmp_path / "serve.yaml").write_text(to_yaml(config))
    (tmp_path / "body.json").write_text(json.dumps(question(features)))
    ledger = postgres.schema(f"test_{uuid4().hex}")
    drain = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3"}  # as pods have it, but shorter
    done = subprocess.run(
        [sys.executable, "-c", ROLL, str(tmp_path), str(free_port)],
        env=os.environ | drain | {LEDGER_ENV: ledger},
        capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["came"].keys() <= {"200", "503"}, found["came"]
    assert found["came"]["200"] > 100
    assert [name for name in found["said"] if not OURS.fullmatch(name)] == []
    assert set(found["kept"]) == {200}
