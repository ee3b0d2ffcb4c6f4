"""Whether groups of customers are treated alike: exposure and value, from logged probabilities."""
