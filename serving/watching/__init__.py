"""What can be seen from outside: metrics and the log of events."""
