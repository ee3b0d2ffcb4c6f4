"""A small generated log to try everything on: as Parquet, as CSV and as DSJSON."""
