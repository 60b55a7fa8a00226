"""Results that follow from a finished graph."""

__all__: list[str] = []
