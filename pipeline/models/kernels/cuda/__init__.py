"""What a GPU does in a way of its own: kernels that read and write less, steps that are recorded; results are a CPU's, rounded."""
