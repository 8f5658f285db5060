"""What every page is made of: cards, texts, the look, work that runs while somebody waits."""
