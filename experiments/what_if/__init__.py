"""What if a guardrail were another one: what a decision log knows of it, and what it cannot."""
