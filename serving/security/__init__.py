"""Who may do what: API keys and their scopes, the gate in front of every route, the audit chain."""
