"""What the run folders hold: which runs there are, which file belongs to a scan, which scores were stored."""
