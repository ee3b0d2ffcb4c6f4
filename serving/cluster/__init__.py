"""Everything that imports Ray; imported late, since Ray reads its variables when it is imported."""
