"""Distances between a reference sample and a current one, each a float that also carries what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.drift.profile import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FLOOR", "Psi", "psi", "psi_from_counts"]

FLOOR = 1e-8  # share given to an empty cell; with few rows this floor is the score, so it is fixed and said


class Psi(float):
    """A population stability index: 0 when alike, never negative, never nan.

    `insufficient` is empty, or says why nothing could be compared; the value is then 0.0 and means nothing.
    """

    by_bin: tuple[float, ...]  # what each cell adds to the index
    bias: float  # what the index is on average without any drift: (cells - 1) (1/n + 1/m)
    insufficient: str  # empty when the value may be used

    def __new__(
        cls, value: float, by_bin: tuple[float, ...] = (), bias: float = 0.0, insufficient: str = ""
    ) -> Psi:
        self = super().__new__(cls, value)
        self.by_bin, self.bias, self.insufficient = by_bin, bias, insufficient
        return self

    @property
    def corrected(self) -> float:
        """The index less its mean without drift, not below 0."""
        return max(float(self) - self.bias, 0.0)


def psi(reference: Any, current: Any, bins: int = 10) -> Psi:
    """Population stability index between two samples of one feature (checklist row 3).

    Ten bins between the reference's quantiles, the outer ones open; missing values left out of both; shares not
    below 1e-8. Numbers of few values, bools, categories and text are compared value by value. Below about 500
    rows the index is mostly noise: compare it with its `bias`.

    >>> rng = np.random.default_rng(0)
    >>> reference = rng.normal(size=5000)
    >>> round(psi(reference, rng.normal(size=5000)), 3)
    0.005
    >>> round(psi(reference, rng.normal(loc=1, size=5000)), 2)
    0.95
    """
    grid = Grid.fit(reference, bins)
    return psi_from_counts(*grid.compared(grid.count(current)))


def psi_from_counts(reference: NDArray[np.int64], current: NDArray[np.int64], floor: float = FLOOR) -> Psi:
    """The index from rows per cell; shares are clipped at `floor`, not renormalised (checklist row 3)."""
    reference, current = np.asarray(reference), np.asarray(current)
    if reference.shape != current.shape:
        raise ValueError(f"{reference.size} and {current.size} cells: count both samples by one grid")
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return Psi(0.0, insufficient=f"no value in the {'current' if n else 'reference'} sample")
    p, q = np.maximum(reference / n, floor), np.maximum(current / m, floor)
    by_bin = (q - p) * np.log(q / p)
    occupied = int(np.count_nonzero(reference + current))
    bias = max(occupied - 1, 0) * (1 / n + 1 / m)
    return Psi(float(by_bin.sum()), tuple(by_bin.tolist()), bias)
