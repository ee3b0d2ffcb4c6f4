"""Vowpal Wabbit as a second engine, behind a guard against what it accepts in silence."""
