"""How many customers a lift needs, and how large a holdout."""
