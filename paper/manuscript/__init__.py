"""The paper: its text, and what its numbers, tables and claims are made from."""
