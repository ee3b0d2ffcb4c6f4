"""Learners and baselines: a mask and a context to a distribution, a distribution to a draw."""
