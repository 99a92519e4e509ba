"""What a configuration means before any job runs: checks, cells, and what source code says without being run."""
