"""The team profile: what ``docker-compose.yaml`` does not say by itself, before, in and around its containers."""
