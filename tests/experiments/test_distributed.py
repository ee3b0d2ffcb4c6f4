"""The same log on a local Ray, in a process of its own: the same numbers to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from experiments.studies.log_speed.make import write_log

SCRIPT = """
import shutil, sys, tempfile, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from serving.running.environment import set_ray_environment, short_place
private = Path(tempfile.mkdtemp("", "nextbest-", short_place(tempfile.gettempdir())))
set_ray_environment(private)
import ray
ray.init(
    address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20,
    _temp_dir=str(private / "ray"), log_to_driver=False, logging_level="ERROR",
)
from experiments.distributed import on_ray
from experiments.streaming import Also, evaluate_stream, groups_stream, in_turn
from experiments.targets import none_target, uniform_target
ask = {"estimators": ["snips", "dr", "switch"], "rows": 500}
ask["also"] = Also(True, ("plan", "bill"), True)
targets = {"uniform": uniform_target, "none": none_target}
here = evaluate_stream(Path(sys.argv[1]), targets, **ask)
there = evaluate_stream(Path(sys.argv[1]), targets, run=on_ray, local=False, **ask)
groups = [groups_stream(Path(sys.argv[1]), {}, rows=500, run=run) for run in (in_turn, on_ray)]
ray.shutdown()
shutil.rmtree(private, ignore_errors=True)
same = here == there and str(groups[0]) == str(groups[1])  # the check of sizes is not a number
print(same, here.rows, len(here.evaluations), len(here.segments), len(here.parts) > 0)
"""


def test_the_numbers_are_the_same_to_the_bit(tmp_path: Path) -> None:
    table = pq.read_table(write_log(tmp_path / "whole.parquet", 6_000))
    log = tmp_path / "log"
    log.mkdir()
    pq.write_table(table.slice(0, 3_500), log / "a.parquet", row_group_size=1_000)
    pq.write_table(table.slice(3_500), log / "b.parquet", row_group_size=1_000)
    command = [sys.executable, "-c", SCRIPT, str(log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.strip().splitlines()[-1] == "True 6000 2 2 True"
