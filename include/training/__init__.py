"""Turns labelled history into a candidate: training set, fit, evaluation, model card, registration."""
