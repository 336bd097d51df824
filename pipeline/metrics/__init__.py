"""Metrics: probabilities and labels -> one number."""
