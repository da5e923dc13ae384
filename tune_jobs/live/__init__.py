"""What a running sweep shows and hears: progress, activity, drains, signals."""
