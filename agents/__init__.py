"""The vocabulary and the law: YAML to actions, guardrails to a mask, decisions to a log."""
