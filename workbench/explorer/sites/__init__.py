"""How far apart the sites are."""
