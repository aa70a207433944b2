"""What a run minimises: a base, its products' vectors, and the auxiliary objectives beside it."""
