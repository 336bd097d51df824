"""What a CPU does in a way of its own: kernels that keep an instance in the cache; results are those of the layers, rounded."""
