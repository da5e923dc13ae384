"""What to try next, and which trials to stop."""
