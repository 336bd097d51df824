"""Selectors: embeddings -> a ranking of each class's samples."""
