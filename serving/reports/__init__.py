"""What was decided and what came of it: totals over the log, replays of decisions."""
