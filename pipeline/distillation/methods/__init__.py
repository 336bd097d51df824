"""Distillers: each file is one method, from the training split and a start to a synthetic set."""
