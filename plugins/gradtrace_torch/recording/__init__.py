"""How a model of PyTorch is followed while it trains.

What is in this folder runs inside the training step, or decides what does. It puts hooks on
modules, tensors and optimizers, and takes all of them away at the end.
"""

__all__: list[str] = []
