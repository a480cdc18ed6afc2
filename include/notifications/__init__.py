"""Tells people of alerts: what is new since they were told last, in words, by the channels of the use case."""
