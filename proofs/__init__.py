"""Machine-checked theorems about the laws and the optimizers, and refutations of what is false."""
