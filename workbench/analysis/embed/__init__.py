"""Scans as points: the job `embed`, the frozen reference that others are placed against, neighbours."""
