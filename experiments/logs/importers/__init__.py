"""Importers: logs of other systems as tables of the decision log's schema."""
