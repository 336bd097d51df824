"""Extractors: a real set -> embeddings."""
