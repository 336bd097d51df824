"""Datasets: list the clips of a media folder or of annotation files in a manifest."""
