"""Calibration: a market's constants are fitted to a decision log, and the fit is reported."""
