"""The values that everybody speaks in: trials, studies, objectives. Nothing here reads, writes or decides."""
