"""How much of what can be had a learner gets, on worlds whose truth is known."""
