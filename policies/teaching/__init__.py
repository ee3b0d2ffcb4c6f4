"""From the log to lessons: late outcomes, absence along delay curves, warm starts."""
