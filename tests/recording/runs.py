"""Steps of made-up trainings, whose statistics are those of real arrays."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.recording.reader import Recording, open_recording
from gradtrace.recording.sample import BINS, EDGES, FIELDS, Series, Step
from gradtrace.recording.writer import Writer

__all__ = ["NETWORK", "histogram", "put", "recorded", "statistics", "step", "training", "wait_for"]

Array = npt.NDArray[Any]

NOTHING = [np.nan] * len(FIELDS)


def statistics(array: npt.ArrayLike) -> list[float]:
    """Return the fields of a tensor, by the words of `FIELDS`, in the plainest way."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    low, high = (finite.min(), finite.max()) if finite.size else (np.inf, -np.inf)
    sums = [finite.sum(), (finite**2).sum(), low, high]
    bad = flat.size - finite.size
    return [flat.size, *sums, (flat == 0).sum(), bad, np.nan, np.isnan(flat).sum()]


def histogram(array: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Return the counts of the magnitudes of an array in the bins of a recording."""
    flat = np.abs(np.asarray(array, dtype=np.float64).ravel())
    bins = np.searchsorted(EDGES, flat[~np.isnan(flat)], side="right")
    return np.bincount(bins, minlength=BINS).astype(np.uint32)


def step(
    index: int, arrays: dict[Series, npt.ArrayLike | None], series: tuple[Series, ...], **more: Any
) -> Step:
    """Return a step with the statistics of `arrays`; what is None was not computed."""
    rows = [NOTHING if arrays.get(s) is None else statistics(arrays[s]) for s in series]  # type: ignore[arg-type]
    return Step(index, 1000.0 + index, more.pop("scalars", {}), series, np.array(rows), **more)


NETWORK = tuple(
    Series(*what, scope=scope)
    for scope, op in (
        ("fc1", "linear"),
        ("act1", "relu"),
        ("fc2", "linear"),
        ("act2", "sigmoid"),
        ("fc3", "linear"),
    )
    for what in (
        *(
            (f"{scope}.{name}", quantity, "parameter", None)
            for name in ("weight", "bias")
            for quantity in ("value", "gradient", "update")
            if op == "linear"
        ),
        *((scope, quantity, "module", op) for quantity in ("output", "upstream gradient")),
    )
)
"""A multilayer perceptron of three layers with a ReLU and a sigmoid."""

TYPICAL = {"value": 1.0, "gradient": 0.1, "update": 1e-3, "output": 1.0, "upstream gradient": 0.1}


def training(steps: int, *, seed: int = 0, first: int = 0) -> list[Step]:
    """Return a healthy training of `NETWORK`: noisy, with a gradient that falls."""
    draw = np.random.default_rng(seed)
    found = []
    for index in range(first, first + steps):
        rows = []
        for series in NETWORK:
            size = TYPICAL[series.quantity] * draw.lognormal(0, 0.4)
            if "gradient" in series.quantity:
                size *= 0.2 + np.exp(-index / 200)
            count = 10.0 if series.node.endswith("bias") else 100.0
            zeros = 50.0 if series.op == "relu" else 0.0
            ends = 5.0 if series.op == "sigmoid" else np.nan
            rows.append([count, 0.0, count * size**2, -2 * size, 2 * size, zeros, 0.0, ends, 0.0])
        loss = 2.3 * np.exp(-index / 200) + 0.1 * draw.random()
        found.append(Step(index, 1000.0 + index, {"loss": loss}, NETWORK, np.array(rows)))
    return found


def put(writer: Writer, steps: Iterable[Step]) -> None:
    for each in steps:
        writer.put(each)


def recorded(folder: Path, steps: Iterable[Step], **options: Any) -> Recording:
    """Return the recording of `steps`, written and closed."""
    writer = Writer(folder, options.pop("facts", {}), **options)
    put(writer, steps)
    writer.close()
    return open_recording(writer.directory)


def wait_for(condition: Any, *, seconds: float = 20.0) -> bool:
    """Wait until `condition()` is true; return whether it became so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False
