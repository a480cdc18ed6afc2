"""Predictions over REST: the model that an alias names, kept fresh, with features from the online store."""
