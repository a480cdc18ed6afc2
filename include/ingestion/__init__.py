"""Brings raw data in: lands it, checks it, keeps what is refused, versions what is accepted."""
