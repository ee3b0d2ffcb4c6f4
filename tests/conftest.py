"""Settings of every test: property tests try the same examples on every machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("nextbest", deadline=None, derandomize=True, database=None)
settings.load_profile("nextbest")
