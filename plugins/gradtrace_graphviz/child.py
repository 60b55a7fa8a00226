"""The program that lays out one graph with the Graphviz library inside pygraphviz.

It runs by itself, so that a layout can be stopped: DOT text comes in, the drawing goes out.
"""

from __future__ import annotations

import sys

import pygraphviz

__all__: list[str] = []


def main(format: str, *settings: str) -> None:
    """Draw the graph read from standard input, with graph attributes given as `name=value`."""
    graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
    for setting in settings:
        name, _, value = setting.partition("=")
        graph.graph_attr[name] = value
    sys.stdout.buffer.write(graph.draw(format=format, prog="dot"))


if __name__ == "__main__":
    main(*sys.argv[1:])
