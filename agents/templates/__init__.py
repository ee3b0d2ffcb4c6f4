"""Templates: Jinja2 cut down to what a message needs, checked when it is loaded."""
