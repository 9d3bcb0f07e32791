"""Tests of a mean: of paired row losses, and of a metric's recent values against its baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rekindle.records import Floats

__all__ = ["Paired", "TTest", "block_se", "one_sample_t", "paired_mean"]

LEVEL = 0.95  # of each of the two one-sided bounds
LARGEST = 1e150  # squares of larger numbers overflow


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean difference of losses on the same rows; None where there are too few rows to say."""

    mean: float | None  # first minus second: above 0 the first is worse; None without rows
    se: float | None  # standard error of the mean
    t: float | None  # mean / se; None also when all differences are equal
    p_worse: float | None  # chance of such a mean, or a higher one, if the first were not worse
    p_better: float | None  # the same for the other side
    n: int  # rows
    low: float | None  # one-sided 95 % bounds: above 0 it is significantly worse
    high: float | None  # below 0 it is significantly better


@dataclass(frozen=True, slots=True)
class TTest:
    """A sample's mean against a fixed baseline; None where there are too few values to say."""

    t: float | None  # None also when all values are equal
    p: float | None  # two-sided
    mean: float | None  # None without values
    std: float | None  # with n - 1
    n: int  # values


def paired_mean(differences: Any, *, blocks: bool = False) -> Paired:
    """A paired t test on row-wise differences of two models' losses (candidate minus champion).

    Row-wise errors are often alike in neighbouring rows; `blocks=True` takes the standard error from block means
    instead (rows must be in time order). Equal differences have no spread: the sign then decides alone, and no
    difference at all is no evidence either way. Raises ValueError for NaN or inf.

    >>> paired_mean([0.1, 0.3, 0.2, 0.2]).p_worse < 0.05
    True
    """
    values = _finite("differences", differences)
    if values.size < 2:
        return Paired(_mean(values), None, None, None, None, values.size, None, None)
    mean, df = float(values.mean()), values.size - 1
    if _constant(values):
        return _without_spread(float(values[0]), values.size)
    se = float(values.std(ddof=1)) / math.sqrt(values.size)
    if blocks and (counted := _block_means(values)).size >= 2:
        se, df = _spread(counted), counted.size - 1
    if se == 0:
        return _without_spread(mean, values.size)
    from scipy.special import stdtr, stdtrit

    t, reach = mean / se, float(stdtrit(df, LEVEL)) * se
    return Paired(
        mean,
        se,
        _known(t),
        float(stdtr(df, -t)),
        float(stdtr(df, t)),
        values.size,
        mean - reach,
        mean + reach,
    )


def block_se(values: Any, length: int | None = None) -> float | None:
    """Standard error of the mean of values in time order that resemble their neighbours.

    From the means of blocks that do not overlap, `length` rows each (default: the cube root of their number).
    It is right when the resemblance fades within a block, too small when it reaches further. None with fewer
    than two blocks.

    Carlstein, The use of subseries values for estimating the variance of a general statistic (1986).
    """
    means = _block_means(_finite("values", values), length)
    return _spread(means) if means.size >= 2 else None


def one_sample_t(values: Any, baseline: float) -> TTest:
    """Two-sided t test of recent values against a baseline (checklist row 21).

    Equal values have no spread: p is 0 when they differ from the baseline, and 1 when they do not.

    >>> one_sample_t([0.80, 0.82, 0.81, 0.79], baseline=0.90).p < 0.05
    True
    """
    sample = _finite("values", values)
    if sample.size < 2:
        return TTest(None, None, _mean(sample), None, sample.size)
    mean, std = float(sample.mean()), float(sample.std(ddof=1))
    if _constant(sample) or std == 0:
        mean = float(sample[0])
        return TTest(None, float(math.isclose(mean, baseline, abs_tol=1e-12)), mean, 0.0, sample.size)
    from scipy.special import stdtr

    t = (mean - baseline) / (std / math.sqrt(sample.size))
    return TTest(_known(t), float(2 * stdtr(sample.size - 1, -abs(t))), mean, std, sample.size)


def _finite(what: str, values: Any) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(
            f"{what} hold NaN or inf on {bad} of {array.size} rows; score rows that have a label only"
        )
    return array


def _known(t: float) -> float | None:
    return t if math.isfinite(t) else None  # a spread next to nothing


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def _constant(values: Floats) -> bool:
    return bool(values.min() == values.max())


def _without_spread(mean: float, n: int) -> Paired:
    worse, better = float(mean <= 0), float(mean >= 0)
    return Paired(mean, 0.0, None, worse, better, n, mean, mean)


def _block_means(values: Floats, length: int | None = None) -> Floats:
    rows = length or max(1, round(values.size ** (1 / 3)))
    count = values.size // rows
    means: Floats = values[: count * rows].reshape(count, rows).mean(axis=1)
    return means


def _spread(means: Floats) -> float:
    return float(means.std(ddof=1)) / math.sqrt(means.size)
