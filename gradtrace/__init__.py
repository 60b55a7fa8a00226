"""See what the gradient did: trace a run into a graph with the chain rule on every edge.

The public names are those of `__init__.pyi`. Each is imported when it is first used, so that
`import gradtrace` costs a program nothing.

>>> import gradtrace
>>> sorted(gradtrace.__all__)[:3]
['BackendError', 'Check', 'DerivativeError']
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
