"""The exact probability that each of several uncertain actions is the best."""
