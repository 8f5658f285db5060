"""A scan as another scanner might have made it."""
