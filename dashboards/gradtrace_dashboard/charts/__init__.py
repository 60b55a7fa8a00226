"""Charts as plain SVG, or as pixels with their labels, for any screen and for a file."""

__all__: list[str] = []
