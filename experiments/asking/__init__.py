"""What is asked of a log: which of its decisions, which policies, and everything about them."""

from experiments.asking.asker import Answer, Asker, Rows
from experiments.asking.differences import Difference, difference, differences
from experiments.asking.parts import Part, parts_of
from experiments.asking.segments import Segment, Segments, by_segment

__all__ = [
    "Answer", "Asker", "Difference", "Part", "Rows", "Segment", "Segments", "by_segment",
    "difference", "differences", "parts_of",
]  # fmt: skip
