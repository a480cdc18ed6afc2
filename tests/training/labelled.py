"""Labels with predictions and days, as the tests of what is measured need them."""

import numpy as np


def classified(rows=2000, days=10, seed=0):
    """Labels drawn from the very probabilities that are predicted."""
    generator = np.random.default_rng(seed)
    predictions = generator.beta(2, 5, rows)
    labels = (generator.random(rows) < predictions).astype(float)
    return labels, predictions, np.arange(rows) % days
