"""The learner: reads the ledger in order, teaches, publishes snapshots."""
