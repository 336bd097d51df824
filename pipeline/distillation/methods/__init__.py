"""Distillers: a real set and a start -> a synthetic set."""
