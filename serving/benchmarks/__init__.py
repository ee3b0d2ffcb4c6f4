"""What serving costs, each figure beside what it is compared with, both sides in one run.

`python -m serving.benchmarks` runs all studies, `python -m serving.benchmarks.NAME` one of them.
The server runs as `nextbest serve` does, in processes of its own; this process only asks.
"""
