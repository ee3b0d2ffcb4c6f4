"""Targets: the policies that a log can be asked about, as (N, A) probabilities."""

from experiments.targets.answering import policy_target, snapshot_target
from experiments.targets.learner import Learner
from experiments.targets.named import NAMED, logged_target, none_target, uniform_target
from experiments.targets.rows import Reader
from experiments.targets.rules import Rule, read_rules, rule_target
from experiments.targets.taught import Lessons, taught_target

__all__ = [
    "NAMED", "Learner", "Lessons", "Reader", "Rule", "logged_target", "none_target",
    "policy_target", "read_rules", "rule_target", "snapshot_target",
    "taught_target", "uniform_target",
]  # fmt: skip
