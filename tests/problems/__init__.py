"""Programs written once, run in NumPy's spelling and in PyTorch's, compared number by number."""
