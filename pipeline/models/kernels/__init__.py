"""Kernels: parts of a network written for one kind of machine, a CPU or a CUDA device."""
