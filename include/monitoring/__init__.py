"""Watches a model in production: drift, realized quality, the decision to retrain, and the report."""
