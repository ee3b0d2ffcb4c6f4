"""The law a second time, for `agents.checker`: read, counted and applied by code of its own.

Nothing here imports anything that decides (load, revision, schedule, calendar, counters,
guardrails, mask, memory, rewards, content), and must not: a fault there would be shared.
"""
