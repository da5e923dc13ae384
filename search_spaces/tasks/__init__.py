"""The tasks of the catalogue, one file a family."""
