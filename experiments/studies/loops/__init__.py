"""Our learner of supplied actions beside Personalizer's defaults, on loops with known truth."""
