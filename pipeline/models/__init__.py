"""Models: networks with one tower per modality, heads on them, and kernels that run them faster."""
