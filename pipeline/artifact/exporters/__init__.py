"""Exporters: one file per format; `write(artifact, out)` writes it and returns a line about it."""
