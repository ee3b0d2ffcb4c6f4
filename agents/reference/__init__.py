"""Reference: the language described from its own documents."""
