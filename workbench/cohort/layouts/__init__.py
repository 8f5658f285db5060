"""How data sets lie on disk: one reader a layout, each a module with a ``LAYOUT``; ``table`` lists them."""
