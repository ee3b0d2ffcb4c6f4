"""The promotion gate: whether a candidate may take the champion's place, and whether to go back."""
