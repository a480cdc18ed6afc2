"""What was decided about a use case, by whom and why, and which version was in production when."""
