"""The ground everything stands on: atomic artifacts, errors with a remedy, processes, progress."""
