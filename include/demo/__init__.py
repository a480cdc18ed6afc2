"""The tour: a use case's whole life by real DAG runs, with a summary that says whether it happened as it should."""
