"""A KubeRay manifest: the Ray cluster and the Serve application on it, and the learner beside it.

What is not in it has to be there already: the secret `NAME-secrets` (keys `ledger-url`, `ray-token`
and, with Redis, `redis-password`), the secret `NAME-keys` (the files of a data folder's `keys/`,
`admin.key` among them, which `nextbest keys generate` makes), and the claim `NAME-data`, which
every pod can write to (ReadWriteMany).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from ruamel.yaml.scalarstring import LiteralScalarString

from serving.running.deploy import HTTP_PORT, Plan
from serving.running.environment import EVERYWHERE, HAPROXY
from serving.security.bootstrap import VARIABLE as ADMIN_KEY_FILE
from serving.settings import LEDGER_ENV

Part = dict[str, Any]

_HAPROXY_FOLDER = "/run/haproxy"
_METRICS_PORT, _STATS_PORT = (
    9101,
    8404,
)  # Ray's own choice, made private by `haproxy`
_DRAIN_S = 35
_GRACE_S = 90  # the drain, the replica's last commits, the learner's last snapshot
_EACH_MEMORY, _HEAD_MEMORY = "2Gi", "4Gi"


def _from_secret(name: str, secret: str, key: str) -> Part:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _environment(plan: Plan, *, ray: bool) -> list[Part]:
    """Return the variables of a container; each one of Ray's is the same on every pod."""
    secret = f"{plan.name}-secrets"
    found = [_from_secret(LEDGER_ENV, secret, "ledger-url")] if plan.shared else []
    if not ray:
        return found
    drain = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "10"}
    binary = {"RAY_SERVE_HAPROXY_BINARY_PATH": f"{_HAPROXY_FOLDER}/haproxy"}
    flags = EVERYWHERE | HAPROXY | drain | binary
    return [
        *({"name": name, "value": value} for name, value in flags.items()),
        _from_secret("RAY_AUTH_TOKEN", secret, "ray-token"),
        {"name": ADMIN_KEY_FILE, "value": f"{plan.data}/keys/admin.key"},
        *found,
    ]


def _volumes(plan: Plan) -> list[Part]:
    return [
        {"name": "data", "persistentVolumeClaim": {"claimName": f"{plan.name}-data"}},
        {"name": "keys", "secret": {"secretName": f"{plan.name}-keys", "defaultMode": 0o440}},
        {"name": "haproxy", "emptyDir": {}},
    ]


def _mounts(plan: Plan) -> list[Part]:
    return [
        {"name": "data", "mountPath": plan.data},
        {"name": "keys", "mountPath": f"{plan.data}/keys", "readOnly": True},
        {"name": "haproxy", "mountPath": _HAPROXY_FOLDER},
    ]


def _probe(path: str, period_s: int, failures: int) -> Part:
    return {
        "httpGet": {"path": path, "port": HTTP_PORT},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _haproxy_writer(plan: Plan) -> Part:
    """Write HAProxy's wrapper before Ray starts: what `nextbest serve` does by itself."""
    values = (_HAPROXY_FOLDER, HTTP_PORT, _METRICS_PORT, _STATS_PORT, plan.max_waiting)
    command = ["python", "-m", "serving.running.haproxy", *map(str, (*values, plan.replicas))]
    mounts = [{"name": "haproxy", "mountPath": _HAPROXY_FOLDER}]
    return {"name": "haproxy", "image": plan.image, "command": command, "volumeMounts": mounts}


def _pod(plan: Plan, container: Part) -> Part:
    return {
        "spec": {
            "terminationGracePeriodSeconds": _GRACE_S,
            "initContainers": [_haproxy_writer(plan)],
            "containers": [
                {
                    "image": plan.image,
                    "env": _environment(plan, ray=True),
                    "volumeMounts": _mounts(plan),
                    **container,
                }
            ],
            "volumes": _volumes(plan),
        }
    }


def _resources(cpu: int, memory: str) -> Part:
    return {"requests": {"cpu": str(cpu), "memory": memory}, "limits": {"memory": memory}}


def _head(plan: Plan) -> Part:
    """The head runs Ray's own parts and no replica, so that its loss costs no decision."""
    container = {"name": "ray-head", "resources": _resources(1, _HEAD_MEMORY)}
    start = {"num-cpus": "0", "dashboard-host": "0.0.0.0"}  # noqa: S104 - the operator asks it
    return {"rayStartParams": start, "template": _pod(plan, container)}


def _workers(plan: Plan) -> Part:
    """A pod for each replica, so that the loss of one costs one."""
    container = {
        "name": "ray-worker",
        "resources": _resources(1, _EACH_MEMORY),
        "ports": [{"name": "serve", "containerPort": HTTP_PORT}],
        "startupProbe": _probe("/healthz", 5, 60),
        "readinessProbe": _probe("/readyz", 2, 2),
        "livenessProbe": _probe("/healthz", 10, 12),
        # out of the service first; then what is under way is finished
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_DRAIN_S)]}}},
    }
    return {
        "groupName": "decisions",
        "replicas": plan.replicas,
        "minReplicas": plan.replicas,
        "maxReplicas": plan.most_replicas,
        "rayStartParams": {"num-cpus": "1"},
        "template": _pod(plan, container),
    }


def _cluster(plan: Plan) -> Part:
    cluster: Part = {
        "rayVersion": version("ray"),
        "enableInTreeAutoscaling": plan.most_replicas > plan.replicas,
        "headGroupSpec": _head(plan),
        "workerGroupSpecs": [_workers(plan)],
    }
    if plan.redis:
        secret = {"name": f"{plan.name}-secrets", "key": "redis-password"}
        cluster["gcsFaultToleranceOptions"] = {
            "redisAddress": plan.redis,
            "redisPassword": {"valueFrom": {"secretKeyRef": secret}},
        }
    return cluster


def _service(plan: Plan, config: str) -> Part:
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": plan.name},
        "spec": {
            "serveConfigV2": LiteralScalarString(config),
            # a changed image or cluster: a new one beside the old, traffic moves when it is ready
            "upgradeStrategy": {"type": "NewCluster"},
            "excludeHeadPodFromServeSvc": True,
            "rayClusterConfig": _cluster(plan),
        },
    }


def _learner(plan: Plan) -> Part:
    """One learner, never two: the old one ends before the new one starts."""
    labels = {"app.kubernetes.io/name": f"{plan.name}-learner"}
    container = {
        "name": "learner",
        "image": plan.image,
        "command": ["nextbest", "learn", "--data", plan.data, *_log_options(plan)],
        "env": _environment(plan, ray=False),
        "volumeMounts": _mounts(plan)[:2],
        "resources": _resources(1, _EACH_MEMORY),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{plan.name}-learner", "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": _GRACE_S,
                    "containers": [container],
                    "volumes": _volumes(plan)[:2],
                },
            },
        },
    }


def _log_options(plan: Plan) -> list[str]:
    """The ledger's URL is in the learner's environment; where it logs to is no secret."""
    return ["--log", plan.log, *(["--log-to", str(plan.log_to)] if plan.log_to else [])]


def _fence(plan: Plan) -> Part:
    """Let nobody but Ray's own pods and the operator reach anything but the front."""
    pods = {"matchLabels": {"ray.io/is-ray-node": "yes"}}
    operator = {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}}
    inside = [{"podSelector": pods}, {"namespaceSelector": {}, "podSelector": operator}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"{plan.name}-ray"},
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": inside}, {"ports": [{"port": HTTP_PORT, "protocol": "TCP"}]}],
        },
    }


def manifest(plan: Plan, config: str) -> tuple[Part, ...]:
    """Return the documents: the RayService, the learner, and the fence around Ray's ports.

    Args:
        plan: what is to be deployed.
        config: the Serve config file as text.
    """
    return _service(plan, config), _learner(plan), _fence(plan)
