"""Decision logs to value: estimators, intervals, diagnostics, lift and their reports."""
