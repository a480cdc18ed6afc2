"""Features: computed from raw partitions, kept offline and online, and asked for as of a moment."""
