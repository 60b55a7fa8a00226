"""The demos, run and read."""
