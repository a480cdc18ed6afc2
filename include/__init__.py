"""Evergreen: the life of a model, from raw data to a served and watched prediction."""
