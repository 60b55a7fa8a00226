"""From where on something is a finding, each number with its source."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Thresholds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The numbers that rules judge by; `diagnose(thresholds=Thresholds(…))` changes some.

    All are relative: no gradient is too small or too large by itself. *Measured* means on the
    networks of the tests: 16 transformers at initialization, residual, recurrent and trained ones.

    >>> Thresholds(vanishing=1e-6).exploding
    1000.0
    """

    vanishing: float = 1e-3
    """‖upstream‖ over that at the output side, below which a gradient has vanished. One learning
    rate fits layers whose gradients lie within some orders of magnitude (Glorot & Bengio 2010);
    signals are lost beyond about 6 e-foldings, 1/403 (Schoenholz et al. 2017). Measured: the
    trunks of healthy networks keep 1/10 and more, save the encoder of a tiny Whisper, 1/1,000."""
    slope_calls: float = 6.0
    """Calls among which the fall, or growth, of a gradient is shared, from which on it is a slope
    over depth, not the doing of one block. Fewer count on a trunk only where a single one passes
    less than `vanishing`. Measured: up to 5.2, where a decoder of Whisper attends to its
    encoder."""
    branch_calls: float = 8.0
    """The same for a branch beside a trunk that is healthy. Measured: up to 6.4, on the way to the
    queries of an attention; 9 and more where four layers with sigmoids are put into a block."""
    vanishing_edge: float = 1e-6
    """Gain below which a single edge is reported by itself, save softmax and learned factors.
    The smallest factor that networks multiply a branch by is 1e-6 (LayerScale, Touvron et al.
    2021), and that one is learned."""
    exploding: float = 1e3
    """‖upstream‖ over that at the output side, above which a gradient has exploded; the inverse of
    `vanishing`. Batch normalization alone grows it by 1.2 a layer (Yang et al. 2019). Measured:
    up to 7 where healthy networks begin, up to 171 within a normalization."""
    dead: float = 0.1
    """Share of dead units of one ReLU from which it is a warning; less is a note. 40 % are common
    with too large a learning rate (Karpathy, CS231n). Measured: none in healthy networks."""
    dead_deviations: float = 4.0
    """How far below 0 the pre-activation of a dead unit lies: times its standard deviation, and
    times the root mean square of the units that live. Normally distributed, it is positive for
    1 of 31,000 samples."""
    dead_samples: int = 8
    """Samples of a unit, rows and positions, below which nothing is said of it."""
    saturated: float = 0.05
    """Mean slope of a sigmoid, tanh or softmax, as a part of its largest, below which it is
    saturated (Glorot & Bengio 2010). A tanh has it where inputs are of size 25."""
    underflow: float = 6.2e-5
    """Largest magnitude of a float16 gradient below which all of it loses bits, then vanishes:
    the smallest normal number is 2⁻¹⁴ (Micikevicius et al. 2018)."""
    dominant: float = 0.5
    """Share of one batch row in the sum of all rows' gradients. With 8 rows an even share is 1/8;
    influence this large is that of an outlier (Huber 1981)."""
    dominant_rows: int = 8
    """Rows of a batch below which none dominates."""
    outlier: float = 10.0
    """Times the median norm from which a row of an input or a target is an outlier."""
    conflict: float = 0.25
    """‖Σ shares‖ / √Σ‖share‖² below which shares at a fan-out conflict: 1 where they are
    orthogonal, 0.25 for two of one size at a cosine of −0.94. Conflict begins at a cosine below 0
    (Yu et al. 2020), but to be worth a report most of the gradient must be lost. Measured: above
    0.6 in healthy networks."""
