"""A Feast offline store whose historical features are exact at each point in time."""
