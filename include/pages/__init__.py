"""The Models page: what is in production, how it does and why, from the logs that the stages keep."""

MOUNT = "/evergreen"  # where the plugin puts the pages within Airflow
