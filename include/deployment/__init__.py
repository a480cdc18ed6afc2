"""What is in production: a ledger of generations, published to the registry, followed and confirmed by the replicas."""
