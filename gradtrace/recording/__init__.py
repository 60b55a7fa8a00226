"""Gradient flow over training: what a step holds, where it is kept, how it is read back.

Data flows sample → writer → store → reader. A recorder of one framework fills a `Step`, the
writer keeps it from another thread, and `open_recording` reads it, also while it is written.
"""

__all__: list[str] = []
