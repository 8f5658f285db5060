"""A scan of the visitor's own."""
