"""Several runs on the same people."""
