"""All studies of serving, one after another, each in a process of its own.

`python -m serving.benchmarks [NAME ...]` runs those that are named, or all.
"""

from __future__ import annotations

import subprocess
import sys

from agents.errors import did_you_mean

STUDIES = (
    "single", "stages", "batch", "batch_stages", "outcomes", "outcome_stages", "overload",
    "replicas", "soak", "cold", "rank",
)  # fmt: skip


def main(names: list[str]) -> int:
    """Run studies in turn; return 1 if one of them could not be run."""
    unknown = next((name for name in names if name not in STUDIES), None)
    if unknown is not None:
        sys.stderr.write(f"expected a study, got {unknown!r}; {did_you_mean(unknown, STUDIES)}\n")
        return 2
    failed = 0
    for name in names or STUDIES:
        command = [sys.executable, "-m", f"serving.benchmarks.{name}"]
        failed |= subprocess.run(command, check=False).returncode != 0  # noqa: S603 - our own
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
