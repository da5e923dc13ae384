"""Folders of image files as data sets: what lies in them, and how it becomes arrays."""
