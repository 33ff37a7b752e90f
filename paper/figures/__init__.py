"""Figures, each drawn by a function that takes its data."""
