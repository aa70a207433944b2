"""Products, matches and queries: read, checked, made and split."""
