"""Loops: agents whose actions come with each request, behind the API of Azure Personalizer."""
