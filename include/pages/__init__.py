"""The Models page: what is in production, how it does and why, from the logs that the stages keep."""
