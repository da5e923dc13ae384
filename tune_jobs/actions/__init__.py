"""What a user can do, one file a verb. Commands and the Python API call these."""
