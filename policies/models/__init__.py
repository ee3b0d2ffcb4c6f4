"""What learners believe: regressions that share weights, or none, and counts; states by name."""
