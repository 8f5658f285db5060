"""The same views in a notebook's cell."""
