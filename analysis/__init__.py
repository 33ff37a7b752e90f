"""What the formulas imply, derived by sympy from the formulas themselves."""
