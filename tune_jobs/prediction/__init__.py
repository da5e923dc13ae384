"""A saved model reads images and rows."""
