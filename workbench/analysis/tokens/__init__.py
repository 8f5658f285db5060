"""Which patch is like which: the job `tokens`, correspondence between scans, colours."""
