"""Decision logs: read, checked, and as arrays."""

from experiments.logs.decisions import LoggedDecisions
from experiments.logs.read import fingerprint, from_table, log_files, read_log, read_table

__all__ = [
    "LoggedDecisions", "fingerprint", "from_table", "log_files", "read_log", "read_table",
]  # fmt: skip
