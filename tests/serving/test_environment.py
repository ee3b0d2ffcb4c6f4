from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agents.errors import StateError
from serving.running.environment import (
    EVERYWHERE,
    haproxy_wanted,
    ray_environment,
    set_ray_environment,
    short_place,
)
from serving.running.haproxy import haproxy_available, main
from serving.settings import Settings

linux = pytest.mark.skipif(not haproxy_available(), reason="HAProxy for Ray comes for Linux only")

RAYS = """\
global
    log 127.0.0.1:514 local0 info
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option abortonclose
    errorfile 502 {folder}/500.http
    errorfile 503 {folder}/500.http
    errorfile 504 {folder}/500.http
frontend prometheus
    bind :{metrics}
frontend http_frontend
    bind 127.0.0.1:{port}
    use_backend http-nextbest if {{ path_beg / }}
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain lf-string "not found"
backend http-nextbest
    http-reuse always
    option httpchk GET /-/healthz
    server one 127.0.0.1:30000 check observe layer4 error-limit 3 on-error mark-down
    server two 127.0.0.1:30001 check
    server last 127.0.0.1:8500 check backup
listen stats
    bind *:{stats}
    stats enable
"""  # what Ray 2.60 writes, shortened


def corrected(folder: Path, settings: Settings) -> tuple[dict[str, str], str]:
    """Let the wrapper correct a configuration, and HAProxy itself check the result."""
    variables = ray_environment(folder, settings)
    ports = {
        name.lower(): variables[f"RAY_SERVE_HAPROXY_{name}_PORT"] for name in ("METRICS", "STATS")
    }
    (folder / "500.http").write_text("HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n")
    config = folder / "haproxy.cfg"
    config.write_text(RAYS.format(folder=folder, port=settings.port, **ports))
    wrapper = variables["RAY_SERVE_HAPROXY_BINARY_PATH"]
    for _ in range(2):  # Ray may start HAProxy again with the same file
        done = subprocess.run(
            [wrapper, "-c", "-f", str(config)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return variables, config.read_text()


def test_ray_is_told_everything_in_one_place(tmp_path: Path) -> None:
    variables = ray_environment(tmp_path)
    assert EVERYWHERE.items() <= variables.items()
    assert variables["RAY_USAGE_STATS_ENABLED"] == "0"
    assert variables["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert variables["RAY_AUTH_MODE"] == "token"
    if haproxy_available():
        assert variables["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
        ports = [value for name, value in variables.items() if name.endswith("_PORT")]
        assert len(ports) == len(set(ports)) == 4


def test_the_token_is_its_owners_and_new_each_time(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        path = Path(ray_environment(tmp_path)["RAY_AUTH_TOKEN_PATH"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        tokens.append(path.read_text())
    assert tokens[0] != tokens[1]
    assert all(re.fullmatch("[0-9a-f]{64}", token) for token in tokens)


def test_a_variable_of_the_users_own_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    assert not haproxy_wanted()
    assert "RAY_SERVE_HAPROXY_BINARY_PATH" not in ray_environment(tmp_path)


def test_it_is_too_late_once_ray_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", sys)
    with pytest.raises(RuntimeError, match="before ray is imported"):
        set_ray_environment(tmp_path)


@linux
def test_haproxy_keeps_its_side_doors_on_loopback(tmp_path: Path) -> None:
    variables, text = corrected(tmp_path, Settings(Path(), Path(), host="127.0.0.2", port=8123))
    binds = re.findall(r"^ *bind (.*)$", text, flags=re.MULTILINE)
    metrics = variables["RAY_SERVE_HAPROXY_METRICS_PORT"]
    stats = variables["RAY_SERVE_HAPROXY_STATS_PORT"]
    assert binds == [f"127.0.0.1:{metrics}", "127.0.0.2:8123", f"127.0.0.1:{stats}"]
    assert " log " not in text  # no request is told to a syslog


@linux
def test_haproxy_sheds_what_is_too_much_and_what_is_too_slow(tmp_path: Path) -> None:
    settings = Settings(Path(), Path(), max_waiting=16, body_timeout_s=2.5)
    _, text = corrected(tmp_path, settings)
    servers = re.findall(r"^ *server (.*)$", text, flags=re.MULTILINE)
    assert servers == [
        "one 127.0.0.1:30000 check maxconn 12 observe layer4 error-limit 3 on-error mark-down",
        "two 127.0.0.1:30001 check maxconn 12",
    ]
    assert text.count("timeout http-request 2500ms\n") == 1
    assert text.count("{ queue ge 4 } !{ path /healthz /readyz /metrics }\n") == 1
    assert "status 404" not in text
    assert (tmp_path / "busy.json").is_file()
    for code in (502, 503, 504):
        assert f"errorfile {code} {tmp_path}/gone.http\n" in text
    assert text.count("http-request del-header x-request-id") == 2
    gone = (tmp_path / "gone.http").read_bytes()
    assert gone.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in gone


@linux
def test_a_pod_writes_the_same_wrapper(tmp_path: Path) -> None:
    main([str(tmp_path), "8000", "9101", "8404", "16", "2"])
    script = (tmp_path / "haproxy.sed").read_text()
    assert "queue ge 8" in script
    assert "maxconn 12" in script
    assert (tmp_path / "haproxy").stat().st_mode & stat.S_IXUSR


def test_sockets_are_where_their_paths_are_short(tmp_path: Path) -> None:
    long = str(tmp_path / "long")
    assert short_place("/sixteen/of/them") == Path("/sixteen/of/them")
    assert short_place(long, tmp_path) == tmp_path
    with pytest.raises(StateError, match=f"at most 16 bytes, got {len(long)}; set TMPDIR"):
        short_place(long, tmp_path / "absent")
