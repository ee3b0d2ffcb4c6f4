"""What `nextbest deploy` writes: checked against Ray's own schema, and deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from agents.catalog import write_example
from agents.errors import ContextError, StateError
from serving.commands import app as commands
from serving.running.deploy import (
    DeployArgs,
    Plan,
    serve_config,
    to_yaml,
    with_ledger,
    write_deployment,
)
from serving.running.environment import EVERYWHERE, HAPROXY
from serving.running.manifest import manifest
from serving.running.operations import app
from serving.running.server import check_start
from serving.settings import LEDGER_ENV, Settings

PLAN = Plan("/srv/ws", "/srv/data", "registry.example/nextbest:1", max_replicas=6, redis="r:6379")

DEPLOY = """
import json, shutil, sys, tempfile
from pathlib import Path
from serving.running.environment import set_ray_environment, short_place
private = Path(tempfile.mkdtemp("", "nextbest-", short_place(tempfile.gettempdir())))
set_ray_environment(private)
import httpx, ray
from ruamel.yaml import YAML
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema
folder, port = Path(sys.argv[1]), int(sys.argv[2])
config = YAML(typ="safe").load(folder / "serve.yaml")
ray.init(
    address="local", num_cpus=4, include_dashboard=False, object_store_memory=80 * 2**20,
    _temp_dir=str(private / "ray"), log_to_driver=False, logging_level="ERROR",
)
serve.start(proxy_location=config["proxy_location"], http_options=config["http_options"])
client = _get_global_client()

def deploy(config):
    client.deploy_apps(ServeDeploySchema(**config), _blocking=True)
    pids = [
        replica["pid"]
        for app in client.get_serve_details()["applications"].values()
        for deployment in app["deployments"].values()
        for replica in deployment["replicas"]
    ]
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
    body = json.loads((folder / "body.json").read_text())
    kind = {"content-type": "application/json"}
    slow = http.post("/v1/decisions", content=slowly(), headers=kind)
    return {"pids": pids, "decided": http.post("/v1/decisions", json=body).status_code,
            "slow": slow.status_code}

def slowly():
    import time
    yield b"{"
    time.sleep(1.0)
    yield b"}"

found = [deploy(config)]
config["applications"][0]["deployments"][0]["user_config"]["body_timeout_s"] = 0.3
found.append(deploy(config))
(folder / "found.json").write_text(json.dumps(found))
serve.shutdown()
ray.shutdown()
shutil.rmtree(private, ignore_errors=True)
"""


def load(text: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(text))


def manifests(plan: Plan = PLAN) -> dict[str, dict[str, Any]]:
    """Return the documents by kind, as Kubernetes would read them."""
    text = to_yaml(*manifest(plan, to_yaml(serve_config(plan))))
    return {document["kind"]: document for document in load(text)}


def pods(plan: Plan = PLAN) -> list[dict[str, Any]]:
    cluster = manifests(plan)["RayService"]["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_the_two_files_say_the_same(tmp_path: Path) -> None:
    config, service = write_deployment(PLAN, tmp_path / "out")
    found = next(doc for doc in load(service.read_text()) if doc["kind"] == "RayService")
    assert found["apiVersion"] == "ray.io/v1"
    assert found["spec"]["serveConfigV2"] == config.read_text()


def test_scaling_is_fixed_or_between_two_bounds() -> None:
    [deployment] = serve_config(PLAN)["applications"][0]["deployments"]
    assert "num_replicas" not in deployment
    scaling = deployment["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 6)
    [fixed] = serve_config(Plan("w", "d", "i", replicas=3))["applications"][0]["deployments"]
    assert fixed["num_replicas"] == 3
    assert "autoscaling_config" not in fixed
    with pytest.raises(StateError, match="more than one replica: SQLite has one writer"):
        serve_config(Plan("w", "d", "i", shared=False))


POD = {"spec": object}
GROUP = {"rayStartParams": {str: str}, "template": POD}
RAY_SERVICE = {  # of `ray.io/v1`, as far as fields are used; anything else would be dropped unsaid
    "serveConfigV2": str,
    "upgradeStrategy": {"type": str},
    "excludeHeadPodFromServeSvc": bool,
    "rayClusterConfig": {
        "rayVersion": str,
        "enableInTreeAutoscaling": bool,
        "gcsFaultToleranceOptions": {
            "redisAddress": str,
            "redisPassword": {"valueFrom": {"secretKeyRef": {"name": str, "key": str}}},
        },
        "headGroupSpec": GROUP,
        "workerGroupSpecs": [
            GROUP | {"groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int}
        ],
    },
}


def misfits(value: Any, shape: Any, path: str = "spec") -> list[str]:
    """Name the fields that a shape does not have, or has of another type."""
    if isinstance(shape, list):
        return [fault for each in value for fault in misfits(each, shape[0], path)]
    if not isinstance(shape, dict):
        return [] if shape is object or type(value) is shape else [path]
    found = []
    for name, each in value.items():
        inside = shape.get(name, shape.get(str))
        found += [f"{path}.{name}"] if inside is None else misfits(each, inside, f"{path}.{name}")
    return found


@pytest.mark.parametrize("plan", [PLAN, Plan("w", "d", "i")], ids=["redis", "plain"])
def test_the_service_has_the_fields_of_kuberay_and_their_types(plan: Plan) -> None:
    spec = manifests(plan)["RayService"]["spec"]
    assert misfits(spec, RAY_SERVICE) == []
    assert spec["upgradeStrategy"]["type"] in {"NewCluster", "None"}
    cluster = spec["rayClusterConfig"]
    cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
    cluster["workerGroupSpecs"][0]["minReplica"] = 1
    assert misfits(spec, RAY_SERVICE) == [
        "spec.rayClusterConfig.headGroupSpec.rayStartParams.num-cpus",
        "spec.rayClusterConfig.workerGroupSpecs.minReplica",
    ]


def test_the_head_makes_no_decisions_and_a_worker_makes_them_alone() -> None:
    cluster = manifests()["RayService"]["spec"]["rayClusterConfig"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    [workers] = cluster["workerGroupSpecs"]
    assert workers["rayStartParams"]["num-cpus"] == "1"
    assert (workers["minReplicas"], workers["maxReplicas"]) == (2, 6)
    assert cluster["enableInTreeAutoscaling"] is True
    assert manifests()["RayService"]["spec"]["excludeHeadPodFromServeSvc"] is True


def test_every_pod_of_ray_is_told_the_same() -> None:
    told = [variables(pod["containers"][0]) for pod in pods()]
    assert told[0] == told[1]
    assert EVERYWHERE.items() <= told[0].items()
    assert HAPROXY.items() <= told[0].items()
    for pod in pods():
        [writer] = pod["initContainers"]
        assert writer["command"][:3] == ["python", "-m", "serving.running.haproxy"]
        mounted = {mount["name"]: mount["mountPath"] for mount in writer["volumeMounts"]}
        assert told[0]["RAY_SERVE_HAPROXY_BINARY_PATH"] == f"{mounted['haproxy']}/haproxy"


def test_probes_and_the_end_of_a_pod_leave_time_to_finish() -> None:
    [worker] = pods()[1]["containers"]
    assert worker["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 8000}
    assert worker["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": 8000}
    assert worker["startupProbe"]["periodSeconds"] * worker["startupProbe"]["failureThreshold"] > 60
    drain = int(worker["lifecycle"]["preStop"]["exec"]["command"][-1])
    [deployment] = serve_config(PLAN)["applications"][0]["deployments"]
    grace = pods()[1]["terminationGracePeriodSeconds"]
    assert grace > drain + deployment["graceful_shutdown_timeout_s"]


def test_no_secret_stands_in_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEDGER_ENV, "postgresql://ann:pineapple@db/ledger")
    for path in write_deployment(PLAN, tmp_path):
        text = path.read_text()
        assert "pineapple" not in text
        assert "postgresql" not in text
    told = variables(pods()[1]["containers"][0])
    secrets = {
        name: value["secretKeyRef"] for name, value in told.items() if isinstance(value, dict)
    }
    assert secrets == {
        LEDGER_ENV: {"name": "nextbest-secrets", "key": "ledger-url"},
        "RAY_AUTH_TOKEN": {"name": "nextbest-secrets", "key": "ray-token"},
    }


def test_the_first_admin_key_is_a_file_of_a_secret() -> None:
    worker = pods()[1]
    path = variables(worker["containers"][0])["NEXTBEST_ADMIN_KEY_FILE"]
    [mount] = [m for m in worker["containers"][0]["volumeMounts"] if m["name"] == "keys"]
    assert path == f"{mount['mountPath']}/admin.key"
    [volume] = [v for v in worker["volumes"] if v["name"] == "keys"]
    assert volume["secret"]["secretName"] == "nextbest-keys"


def test_ray_outlives_its_head_only_with_redis() -> None:
    options = manifests()["RayService"]["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == "r:6379"
    reference = options["redisPassword"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "nextbest-secrets", "key": "redis-password"}
    plain = manifests(Plan("w", "d", "i"))["RayService"]["spec"]["rayClusterConfig"]
    assert "gcsFaultToleranceOptions" not in plain


def test_there_is_one_learner_and_never_two() -> None:
    learner = manifests()["Deployment"]
    assert learner["spec"]["replicas"] == 1
    assert learner["spec"]["strategy"] == {"type": "Recreate"}
    pod = learner["spec"]["template"]
    assert learner["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    [container] = pod["spec"]["containers"]
    assert container["command"] == [
        "nextbest", "learn", "--data", "/srv/data", "--log", "text",
    ]  # fmt: skip
    assert set(variables(container)) == {LEDGER_ENV}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_only_the_front_is_reached_from_outside() -> None:
    ingress = manifests()["NetworkPolicy"]["spec"]["ingress"]
    anyone = [rule for rule in ingress if "from" not in rule]
    assert anyone == [{"ports": [{"port": 8000, "protocol": "TCP"}]}]


def test_the_ledgers_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DeployArgs(workspace="w", data="d").settings()
    assert with_ledger(settings, "") == settings
    monkeypatch.delenv("SOME_URL", raising=False)
    with pytest.raises(StateError, match="the environment variable SOME_URL; set it"):
        with_ledger(settings, "SOME_URL")
    monkeypatch.setenv("SOME_URL", "postgresql://db/x")
    assert with_ledger(settings, "SOME_URL").ledger_url == "postgresql://db/x"


def test_logs_and_exports_are_deployed_as_asked(tmp_path: Path) -> None:
    options = "--log json --log-to /var/log/nextbest --export-every 3600 --export-to /srv/out"
    command = ["deploy", str(tmp_path), "--image", "a/b:1", *options.split()]
    assert CliRunner().invoke(app, command).exit_code == 0
    config = YAML(typ="safe").load(tmp_path / "serve.yaml")
    settings = DeployArgs(**config["applications"][0]["args"]).settings()
    assert (settings.log, settings.log_to) == ("json", Path("/var/log/nextbest"))
    assert (settings.export_every_s, settings.export_to) == (3600.0, Path("/srv/out"))
    documents = YAML(typ="safe").load_all(tmp_path / "rayservice.yaml")
    [learner] = [each for each in documents if each["kind"] == "Deployment"]
    assert learner["spec"]["template"]["spec"]["containers"][0]["command"][4:] == [
        "--log", "json", "--log-to", "/var/log/nextbest",
    ]  # fmt: skip
    plain = serve_config(PLAN)["applications"][0]["args"]
    assert DeployArgs(**plain).settings().exports == Path("/srv/data/exports")


COMMANDS = ("serve", "learn", "scrub", "audit", "export log")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_names_the_ledger_alike_and_takes_no_password(
    command: str, tmp_path: Path
) -> None:
    for url in ("postgresql://ann:pineapple@db/x", "postgresql://db/x?password=pineapple"):
        words = [*command.split(), "--data", str(tmp_path / "data"), "--ledger", url]
        done = CliRunner().invoke(commands, words)
        assert isinstance(done.exception, ContextError), done.output
        assert "no password on the command line" in str(done.exception)
        assert "pineapple" not in f"{done.exception}{done.output}"
    told = CliRunner().invoke(commands, [command.partition(" ")[0], "--help"])
    assert "NEXTBEST_LEDGER" in told.output


@pytest.mark.parametrize("way", ["environment", "file"])
def test_a_password_may_come_by_the_environment_or_a_file(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = "postgresql://ann:pineapple@db/x", []
    monkeypatch.setattr("serving.running.server.serve_until_stopped", lambda s, _: told.append(s))
    command = ["serve", "--data", str(tmp_path / "data")]
    if way == "file":
        (tmp_path / "url").write_text(f"{url}\n")
        command += ["--ledger", f"file:{tmp_path / 'url'}"]
    else:
        monkeypatch.setenv(LEDGER_ENV, url)
    assert CliRunner().invoke(commands, command, catch_exceptions=False).exit_code == 0
    assert [settings.ledger_url for settings in told] == [url]


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["deploy", str(tmp_path / "k8s"), "--image", "a/b:1"])
    assert done.exit_code == 0, done.output
    assert re.findall(r"wrote .*?(\w+\.yaml)", done.output.replace("\n", "")) == [
        "serve.yaml", "rayservice.yaml",
    ]  # fmt: skip


def test_the_learner_runs_by_itself_and_ends_when_told(
    workspace: Path, tmp_path: Path, limit: Any
) -> None:
    check_start(Settings(workspace, tmp_path / "data"))  # makes the ledger and the keys
    program = Path(sys.executable).parent / "nextbest"
    command = [str(program), "learn", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, limit(process):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("learning: ")
        process.terminate()
        assert process.stdout.read().rstrip().endswith("stopped")
    assert process.returncode == 0


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        write_deployment(PLAN, tmp_path / "file")


def test_the_config_deploys_answers_and_takes_new_limits_without_a_restart(
    tmp_path: Path, features: dict[str, Any], free_port: int
) -> None:
    """On Ray Serve's own proxy, which stands in where HAProxy does not run."""
    write_example("telecom", tmp_path / "telecom")
    plan = Plan(
        str(tmp_path / "telecom"), str(tmp_path / "data"), "i", replicas=1, clock="driven",
        shared=False, auth="none",
    )  # fmt: skip
    (tmp_path / "serve.yaml").write_text(
        to_yaml(serve_config(plan, host="127.0.0.1", port=free_port))
    )
    body = {"agent": "retention", "customer": "ann", "features": features}
    body["at"] = "2026-03-02T09:00:00+00:00"
    (tmp_path / "body.json").write_text(json.dumps(body))
    done = subprocess.run(
        [sys.executable, "-c", DEPLOY, str(tmp_path), str(free_port)],
        env=os.environ | {"RAY_SERVE_ENABLE_HA_PROXY": "0"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = json.loads((tmp_path / "found.json").read_text())
    assert before["pids"] == after["pids"]
    assert len(before["pids"]) == 1
    assert (before["decided"], after["decided"]) == (200, 200)
    assert (before["slow"], after["slow"]) == (422, 408)  # an empty question, or one too slow
