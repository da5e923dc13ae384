"""The Python API behind `import tune_jobs`: studies as objects, tasks as values. It calls the actions of the commands.

`tune_jobs/__init__.py` names what is public; nothing here is imported before it is used.
"""
