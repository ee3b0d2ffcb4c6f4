"""Reward models: what each action would have earned, predicted from other decisions."""
