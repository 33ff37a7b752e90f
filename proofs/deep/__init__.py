"""The deep tier: Coq and Gappa."""
