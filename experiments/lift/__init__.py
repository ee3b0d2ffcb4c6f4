"""Lift: what the groups earned, and by how much they differ. The customer is the unit."""

from experiments.lift.asked import Asked, ask, setting_of, with_covariates
from experiments.lift.comparison import Compared, Setting, compare_groups, compare_segments
from experiments.lift.groups import Difference, GroupResult, Lift, by_customer, lift
from experiments.lift.histories import Histories, histories
from experiments.lift.measures import KINDS, Measure, parse_measure, parse_measures
from experiments.lift.paths import Path, follow, looks
from experiments.lift.plan import Fixed, Plan, fixed_test, read_plan
from experiments.lift.ratio import declared_shares, expected_holdout, ratio_path, sample_ratio
from experiments.lift.selftest import SelfTest, self_test

__all__ = [
    "KINDS", "Asked", "Compared", "Difference", "Fixed", "GroupResult", "Histories", "Lift",
    "Measure", "Path", "Plan", "SelfTest", "Setting", "ask", "by_customer", "compare_groups",
    "compare_segments", "declared_shares", "expected_holdout", "fixed_test", "follow",
    "histories", "lift", "looks", "parse_measure", "parse_measures", "ratio_path", "read_plan",
    "sample_ratio", "self_test", "setting_of", "with_covariates",
]  # fmt: skip
