"""Run every study: `python -m experiments.studies`."""

from __future__ import annotations

from experiments.studies import decision_cost

if __name__ == "__main__":
    decision_cost.run()
