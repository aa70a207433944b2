"""Bundles changed while the service runs: opened beside the old one, swapped, rolled back."""
