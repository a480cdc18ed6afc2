"""Trained models: their files, their versions in MLflow's registry, and the predictions they make."""
