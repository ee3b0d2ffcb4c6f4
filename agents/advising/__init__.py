"""Advice: what a workspace that loads will probably not do as its author means."""
