"""The table of derivative rules, a file for each kind of operation."""

from gradtrace_numpy.rules import elementwise, joining, products, reductions, selections, shapes

__all__ = ["elementwise", "joining", "products", "reductions", "selections", "shapes"]
