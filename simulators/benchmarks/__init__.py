"""Measurements of the simulators: `python -m simulators.benchmarks`."""
