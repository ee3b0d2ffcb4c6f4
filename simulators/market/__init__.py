"""Markets made of parts: each part is one module, a world's YAML says how they are put together."""
