"""Shards: the manifest's clips as one-second samples in tar files, with an index and a ledger."""
