"""Logs larger than memory: the same evaluation from sums over pieces of a log."""

from experiments.streaming.customers import GroupsFound, groups_stream
from experiments.streaming.measuring import Target
from experiments.streaming.planning import Also
from experiments.streaming.stream import Streamed, evaluate_stream, in_turn

__all__ = [
    "Also", "GroupsFound", "Streamed", "Target", "evaluate_stream", "groups_stream", "in_turn",
]  # fmt: skip
