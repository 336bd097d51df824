"""Datasets: a folder or annotation files -> clips."""
