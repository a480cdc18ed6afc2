"""The state of the models for Prometheus: what is in production, how good it is, what has moved, what waits."""
