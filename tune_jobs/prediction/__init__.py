"""A saved model reads image files."""
