"""The worker is a program that the tests start, not a module of doctests."""

collect_ignore = ["limits.py", "worker.py"]
