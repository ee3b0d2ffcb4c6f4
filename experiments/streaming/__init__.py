"""Logs larger than memory: the same evaluation from sums over pieces of a log."""

from experiments.streaming.measuring import Target
from experiments.streaming.stream import Streamed, evaluate_stream, in_turn

__all__ = ["Streamed", "Target", "evaluate_stream", "in_turn"]
