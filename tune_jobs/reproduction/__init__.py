"""The figures of the two reports beside ours, and all that knows of a particular report."""
