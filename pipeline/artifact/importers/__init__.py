"""Importers: `read(path)` makes a synthetic set of published .pt files, one file per layout.

Such files do not describe themselves: the parameters of an importer supply what they lack, and
are checked against the tensors.
"""
