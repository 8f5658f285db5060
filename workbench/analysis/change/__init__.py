"""How much people change per year, in an embedding, volumes and scores."""
