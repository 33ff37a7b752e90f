"""Experiments, their results and their figures."""
