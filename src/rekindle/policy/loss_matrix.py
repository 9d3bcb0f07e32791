"""The loss matrix of a stream: how every model would have done on every later batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rekindle.errors import DeclarationError, NotEnoughData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rekindle.records import Floats

__all__ = ["LossMatrix"]


@dataclass(frozen=True, slots=True)
class LossMatrix:
    """`values[i, j]`: mean loss in batch j of the model fitted after batch i; NaN for j <= i.

    Parameters: `values` square, losses of at least 0; `warmup` batches of labelled history before the first
    decision; `batch_rows` rows per batch, which a price in money needs.

    >>> LossMatrix(np.array([[np.nan, 0.2, 0.3], [np.nan, np.nan, 0.2], [np.nan] * 3]), warmup=1).batches
    3
    """

    values: Floats
    warmup: int = 8
    psi_max: Floats | None = field(
        default=None, repr=False
    )  # largest PSI of batch j against the reference of i
    psi_count: Floats | None = field(default=None, repr=False)  # features with a PSI above 0.2
    batch_rows: NDArray[np.int64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim != 2 or values.shape[0] != values.shape[1]:
            raise DeclarationError(
                "values", values.shape, "give a square matrix, one row per model, one column per batch"
            )
        if not 1 <= self.warmup < len(values):
            raise NotEnoughData(
                f"{len(values)} batches leave none to decide on after a warm-up of {self.warmup}"
            )
        upper = np.triu(np.ones(values.shape, dtype=bool), k=1)
        needed = upper & (np.arange(len(values)) >= self.warmup)[None, :]
        bad = needed & ~np.isfinite(values)
        if bad.any():
            i, j = (int(k) for k in np.argwhere(bad)[0])
            raise NotEnoughData(
                f"the loss of model {i} in batch {j} is missing; a partial matrix cannot be replayed"
            )
        object.__setattr__(self, "values", values)

    @property
    def batches(self) -> int:
        """Number of batches."""
        return len(self.values)
