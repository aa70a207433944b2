"""Many runs, one table: every base with every variant and seed, each in a process of its own."""
