"""What a use case is: its configuration, its partitions, and the functions its author writes."""
