"""Guardrails over tables of customers: one meaning, two speeds.

The table path asks the very rules of the single path, about one customer of each class of those
that are alike for a rule, and so cannot mean anything else.
"""

from agents.tabular.masks import mask_table

__all__ = ["mask_table"]
