"""``fused=True`` on the CPU: whole steps by kernels that Numba compiles, on torch's threads."""
