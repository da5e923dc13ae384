"""The tasks of the catalogue, one file for each family."""
