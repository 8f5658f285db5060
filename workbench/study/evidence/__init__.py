"""What came out: every person's numbers, and the intervals and differences that they allow."""
