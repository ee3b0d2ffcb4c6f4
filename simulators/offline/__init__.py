"""Whole populations offline: a policy lives through a market as arrays, at full speed."""
