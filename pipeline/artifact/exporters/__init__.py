"""Artifact -> what other tools read, one file per format: `write(artifact, out)` tells in a line what it wrote."""
