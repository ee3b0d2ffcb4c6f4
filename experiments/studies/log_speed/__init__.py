"""Time and memory of a large log: `python -m experiments.studies.log_speed`."""
