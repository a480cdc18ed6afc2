"""Where Airflow is known: assets, the shape of a stage's DAG, and what a task reads from its run."""
