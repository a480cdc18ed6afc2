"""Who may use the online service, and how much of it."""
