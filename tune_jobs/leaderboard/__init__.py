"""The order of configurations, and how far to trust it. Pure functions over records."""
