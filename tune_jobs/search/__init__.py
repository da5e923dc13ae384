"""What to try next, and which trials to stop.

Searches (`samplers.py` makes each), what bounds them (`budgets.py`), schedulers, and populations.
"""
