"""The page around all pages, its address and keys, and the server."""
