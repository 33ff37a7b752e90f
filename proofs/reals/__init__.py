"""Statements over the reals, decided by solvers of polynomial constraints."""
