"""A server from start to a clean end: Ray, HAProxy or uvicorn, ports, files for a cluster."""
