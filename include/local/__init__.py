"""The whole system on one machine: sets it up, starts it, tells how it is and ends it."""
