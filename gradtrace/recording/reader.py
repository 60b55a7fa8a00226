"""Read a recording back, also while it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradtrace.errors import FileError, OptionError, require_choice
from gradtrace.recording.extras import require_pandas
from gradtrace.recording.folder import find_runs, read_facts
from gradtrace.recording.index import Span
from gradtrace.recording.matrix import Matrix
from gradtrace.recording.merge import merge, merge_counts
from gradtrace.recording.rankfile import Numbers, RankFile, Scalar
from gradtrace.recording.replay import replay
from gradtrace.recording.sample import EDGES, QUANTITIES, Series, Step
from gradtrace.recording.schema import FACTS, SNAPSHOTS, rank_files
from gradtrace.recording.sessions import Session
from gradtrace.recording.statistics import RATIOS, STATISTICS
from gradtrace.recording.watch import Finding

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Histograms", "Recording", "open_recording"]


@dataclass(frozen=True)
class Histograms:
    """How the magnitudes of one tensor are spread, step by step."""

    steps: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]
    """The first bin is below the first edge, the last from the last one on."""
    counts: npt.NDArray[np.uint32]
    """A row for each step, a column for each bin."""


class Recording:
    """A recorded run. Nothing is read before it is asked for, nor kept: each look is up to date."""

    def __init__(self, directory: str | PathLike[str]) -> None:
        """Open the run in `directory`; raise `FileError` where there is none that can be read."""
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise FileError(f"there is no folder {self.directory}")
        if not rank_files(self.directory):
            raise FileError(_why_no_run(self.directory))
        self._files[0].sessions()

    @property
    def _files(self) -> list[RankFile]:
        return [RankFile(path) for path in rank_files(self.directory).values()]

    def _file(self, rank: int) -> RankFile:
        require_choice("rank", rank, self.ranks)
        return RankFile(rank_files(self.directory)[rank])

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.directory.resolve().name

    @property
    def ranks(self) -> tuple[int, ...]:
        """The processes that recorded, by their numbers."""
        return tuple(rank_files(self.directory))

    @property
    def facts(self) -> dict[str, Any]:
        """What was known of the run as it began, as `run.json` has it."""
        return read_facts(self.directory) if (self.directory / FACTS).exists() else {}

    @property
    def state(self) -> str:
        """`training` while one of its processes writes, then `finished` or `stopped`."""
        last = [sessions[-1].now for file in self._files if (sessions := file.sessions())]
        return next((each for each in ("training", "stopped") if each in last), "finished")

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Each time that a process began to write the run, with its facts as JSON."""
        return tuple(each for file in self._files for each in file.sessions())

    @property
    def lost(self) -> int:
        """Number of steps that could not be kept, because the disk failed or was too slow."""
        lost = {each.writer: each.lost for each in self.sessions}
        return sum(lost.values())

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """The numbers of the recorded steps, of all processes together."""
        return np.unique(np.concatenate([file.steps(Span())[0] for file in self._files]))

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """When each of the steps ended, in seconds since 1970, on the first process that has it."""
        steps, times = zip(*(file.steps(Span()) for file in self._files), strict=True)
        _, first = np.unique(np.concatenate(steps), return_index=True)
        return np.concatenate(times)[first]

    @property
    def series(self) -> tuple[Series, ...]:
        """Every tensor that is followed, in forward order."""
        return tuple(dict.fromkeys(each for file in self._files for each in file.series()))

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that are recorded, or follow from those that are."""
        recorded = {each.quantity for each in self.series}
        derived = [name for name, both in RATIOS.items() if recorded.issuperset(both)]
        strange = sorted(recorded.difference(QUANTITIES))
        return (*(name for name in QUANTITIES if name in recorded), *strange, *derived)

    def nodes(self, quantity: str) -> tuple[str, ...]:
        """Return the nodes that a quantity is recorded of, in forward order."""
        recorded = RATIOS.get(quantity, (quantity,))[0]
        return tuple(dict.fromkeys(s.node for s in self.series if s.quantity == recorded))

    def scalar(self, name: str, *, since: int = -1, rank: int | None = None) -> Scalar:
        """Return the steps after `since` at which a scalar was given, with its values."""
        found = self.scalar_values(since=since, rank=rank)
        if name not in found:
            require_choice("scalar", name, self.scalar_values(rank=rank))
        return found.get(name, (np.empty(0, dtype=np.int64), np.empty(0)))

    def scalar_values(self, *, since: int = -1, rank: int | None = None) -> dict[str, Scalar]:
        """Return steps and values of each scalar: those of the first process unless told."""
        return (self._files[0] if rank is None else self._file(rank)).scalars(Span(since))

    @property
    def scalars(self) -> pd.DataFrame:
        """Loss, learning rates and all else given to `step`, as a pandas frame indexed by step.

        NaN stands where a value is NaN, and where none was given; `scalar` tells them apart.
        """
        pandas = require_pandas()
        columns = {
            name: pandas.Series(values, index=steps)
            for name, (steps, values) in self.scalar_values().items()
        }
        frame = pandas.DataFrame(columns, index=self._files[0].steps(Span())[0])
        return frame.rename_axis(index="step")

    def matrix(
        self,
        quantity: str,
        statistic: str = "norm",
        *,
        nodes: Sequence[str] | None = None,
        since: int | None = None,
        steps: slice | None = None,
        rank: int | None = None,
    ) -> Matrix:
        """Return one statistic of a quantity for every step and node.

        Args:
            quantity: One of `quantities`. A ratio, such as `gain`, is one of norms.
            statistic: One of `norm`, `rms`, `mean`, `std`, `min`, `max`, `zeros`, `saturated`,
                `nonfinite`, `nan`, `infinite`, `count`. Up to `max` they are NaN for a tensor with
                an element that is NaN or infinite.
            nodes: Those wanted; all unless told.
            since: Only later steps: what is new since the last look at a run that trains.
            steps: Only steps from its start to before its stop.
            rank: Only what this process recorded, not what all of them make together.
        """
        require_choice("quantity", quantity, self.quantities)
        require_choice("statistic", statistic, STATISTICS)
        span = _span(since, steps)
        if quantity in RATIOS:
            above, below = (self._statistic(each, "norm", span, rank) for each in RATIOS[quantity])
            found = above.by(below, name=quantity)
        else:
            found = self._statistic(quantity, statistic, span, rank)
        return found if nodes is None else found.only(nodes)

    def frame(self, quantity: str, statistic: str = "norm", **options: Any) -> pd.DataFrame:
        """Return what `matrix` does as a pandas frame, a row for each step, a column a node.

        What is large is NaN in the steps that did not look at it: see `large_every` of
        `gradtrace.record`. `frame(...).ffill()` holds the last number.
        """
        return self.matrix(quantity, statistic, **options).frame()

    def histograms(
        self, node: str, quantity: str = "gradient", *, since: int = -1, rank: int | None = None
    ) -> Histograms:
        """Return the histograms of the magnitudes of one tensor, those of its parts added up."""
        require_choice("quantity", quantity, {each.quantity for each in self.series})
        require_choice("node", node, self.nodes(quantity))
        files = self._files if rank is None else [self._file(rank)]
        found = [file.histograms(node, quantity, Span(since)) for file in files]
        spread = next(s.spread for s in self.series if (s.node, s.quantity) == (node, quantity))
        steps, counts = merge_counts(found, spread)
        return Histograms(steps, EDGES, counts)

    def numbers(
        self, quantity: str, fields: Sequence[str], span: Span, *, rank: int | None = None
    ) -> Numbers:
        """Return statistics as they are kept: the root of `sumsq`, and what is finite."""
        files = self._files if rank is None else [self._file(rank)]
        return merge([file.numbers(quantity, fields, span) for file in files])

    def replay(self, *, since: int = -1) -> Iterator[Step]:
        """Yield the steps after `since` as they were recorded, without histograms."""
        return replay(self, since=since)

    @property
    def snapshots(self) -> dict[int, Path]:
        """The traced graphs saved beside the run, by step; `gradtrace.load` opens one."""
        paths = sorted((self.directory / SNAPSHOTS).glob("step*.gradtrace"), reverse=True)
        found = {int(path.name.partition(".")[0].removeprefix("step")): path for path in paths}
        return dict(sorted(found.items()))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the rules that watch the training found, in the order of steps."""
        every = [Finding(**each) for file in self._files for each in file.findings()]
        first = {(each.rule, each.node, each.first_step): each for each in reversed(every)}
        return tuple(sorted(first.values(), key=lambda each: (each.first_step, each.rule)))

    def __repr__(self) -> str:
        return f"<gradtrace.Recording {self.name!r}: {len(self.steps):,} steps, {self.state}>"

    def _statistic(self, quantity: str, statistic: str, span: Span, rank: int | None) -> Matrix:
        row = STATISTICS[statistic]
        wanted = (*row.fields, "nonfinite") if row.finite else row.fields
        numbers = self.numbers(quantity, wanted, span, rank=rank)
        with np.errstate(all="ignore"):
            values = row.derive(*(numbers.fields[field] for field in row.fields))
            if row.finite and (spoilt := numbers.fields["nonfinite"] > 0).any():
                values = np.where(spoilt, np.nan, values)
        nodes = tuple(each.node for each in numbers.series)
        return Matrix(quantity, statistic, numbers.steps, nodes, values)


def open_recording(directory: str | PathLike[str]) -> Recording:
    """Return the run that is kept in `directory`, which may still be training.

    Raises `FileError` where there is no run, or none that this version of gradtrace can read.
    """
    return Recording(directory)


def _span(since: int | None, steps: slice | None) -> Span:
    wanted = steps or slice(None)
    if wanted.step not in (None, 1):
        raise OptionError(f"steps={wanted!r} leaves out steps; take them from the matrix instead")
    if any(edge is not None and edge < 0 for edge in (wanted.start, wanted.stop)):
        raise OptionError(f"steps={wanted!r} is not a range of step numbers; they begin at 0")
    end = 2**62 if wanted.stop is None else int(wanted.stop)
    return Span(max(-1 if since is None else int(since), (wanted.start or 0) - 1), end)


def _why_no_run(directory: Path) -> str:
    inside = [str(path) for path in find_runs(directory)[:3]]
    hint = f"; runs are in {', '.join(inside)}" if inside else ""
    return f"{directory} is no run: it has no file rank00000.sqlite{hint}"
