"""Changes: what a new version of a workspace does, in words and in customers."""
