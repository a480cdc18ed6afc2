"""Fitted scikit-learn pipelines as flat arrays: the same predictions for rows of Python values, without pandas.

``served.accelerate`` is the way in. A model that cannot be compiled, or that does not predict the same once compiled,
is served as it is.
"""
