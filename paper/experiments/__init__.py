"""The experiments: what is run, how it is kept, and what it answers."""
