"""Brings a candidate into production and back: the gate's evidence, staging, the switch, the log of decisions."""
