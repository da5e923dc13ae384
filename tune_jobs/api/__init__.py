"""The Python API behind `import tune_jobs`: studies as objects, tasks as values."""
