"""``fused=True`` on a CUDA device: whole steps by kernels that Triton compiles."""
