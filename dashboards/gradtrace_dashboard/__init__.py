"""A dashboard of recorded runs and saved graphs, in the browser.

Data flows data → charts → pieces → views. `data` reads, `charts` draw plain SVG and pixels without
a browser, `pieces` bring them to it and take clicks back, and each page puts them together.
`gradtrace dashboard DIR` starts it.
"""

__all__: list[str] = []
