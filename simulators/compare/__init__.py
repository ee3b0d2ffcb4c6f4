"""Several policies or guardrail sets on the same customers, side by side."""

from simulators.compare.arms import Arm, arm, distinct, with_learner, without_guardrails
from simulators.compare.comparison import Comparison, compare
from simulators.compare.kpis import KPIS, Figure, Figures

__all__ = [
    "KPIS", "Arm", "Comparison", "Figure", "Figures", "arm", "compare", "distinct",
    "with_learner", "without_guardrails",
]  # fmt: skip
