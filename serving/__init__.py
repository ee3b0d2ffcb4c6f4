"""Serving: Ray Serve, the ledger, the learner and HTTP around the decision."""
