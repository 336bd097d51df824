"""Selectors: features -> a ranking of each class's samples."""
