"""The life of an agent: read, put, activated for some or all, rolled back."""
