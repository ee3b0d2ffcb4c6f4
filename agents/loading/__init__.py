"""Loading: from YAML to documents whose every reference holds."""
