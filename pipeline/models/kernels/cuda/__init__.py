"""Kernels for a CUDA device: fused ConvNet blocks, rows at an index, and training steps as graphs.

Results are those of a CPU, up to rounding.
"""
