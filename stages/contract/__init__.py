"""The contract of plugins, as facts that hold of each: `python -m avdistill.contract`."""
