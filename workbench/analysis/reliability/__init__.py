"""How far repeated scans of the same people agree, in an embedding, scores, Dice and volumes."""
