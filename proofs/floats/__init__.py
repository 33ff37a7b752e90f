"""Statements about floating-point numbers, of which the solver or the machine looks at all."""
