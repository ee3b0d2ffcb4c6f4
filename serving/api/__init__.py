"""HTTP: one resource a file, strict bodies, errors as RFC 9457 problems."""
