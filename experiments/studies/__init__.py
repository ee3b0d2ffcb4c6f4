"""Studies: each prints a table of measured figures, both sides of a comparison in one run."""
