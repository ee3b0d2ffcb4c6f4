"""Coverage: how often each interval holds a known truth, and how wide it is."""
