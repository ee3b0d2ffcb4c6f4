"""The demonstration: a server, simulated customers, and what came of it."""
