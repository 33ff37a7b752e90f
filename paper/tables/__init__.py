"""Tables of the texts, each from a file of results."""
