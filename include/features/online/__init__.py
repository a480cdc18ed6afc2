"""Feast online stores in which the newest value wins and a value beyond its time to live is missing."""
