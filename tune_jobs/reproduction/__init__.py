"""The figures of the two reports beside ours; nothing outside this room knows a particular report."""
