"""Row losses: what each single prediction costs, finite and never below 0. Decisions are taken in this unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.errors import DeclarationError, NotEnoughData, did_you_mean
from rekindle.stats.columns import as_array, decided, labelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rekindle.protocols import Loss
    from rekindle.records import Floats

__all__ = ["CappedError", "row_loss", "zero_one"]


def row_loss(task: str, target: Any = None, classes: Any = None) -> Loss:
    """The default loss of a task: 0/1 error for "classification", capped error for "regression".

    `target` is the reference target that scales the capped error; `classes` name the columns of probabilities.
    """
    if task == "classification":
        return zero_one if classes is None or not len(classes) else partial(zero_one, classes=tuple(classes))
    if task == "regression":
        return CappedError.from_target(target if target is not None else ())
    raise DeclarationError("task", task, did_you_mean(str(task), ["classification", "regression"]))


def zero_one(label: Any, prediction: Any, classes: Any = None) -> Floats:
    """1.0 for each wrong class, 0.0 for each right one; of probabilities the likeliest class counts.

    Raises ValueError when a label or a prediction is missing: score labelled rows only.

    >>> zero_one(np.array(["a", "b"]), np.array(["a", "a"])).tolist()
    [0.0, 1.0]
    """
    _check(label, prediction)
    return np.asarray(as_array(label) != decided(prediction, label, classes), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class CappedError:
    """min(1, |label - prediction| / scale): errors of numbers on the scale of 0/1 errors, outliers capped.

    >>> CappedError(scale=10.0)(np.array([0.0, 0.0]), np.array([2.5, 99.0])).tolist()
    [0.25, 1.0]
    """

    scale: float  # an error of this size, or larger, counts 1; in units of the target

    def __post_init__(self) -> None:
        if not isinstance(self.scale, (int, float)) or not math.isfinite(self.scale) or self.scale <= 0:
            raise DeclarationError(
                "scale", self.scale, "give a finite number above 0, in units of the target"
            )

    @classmethod
    def from_target(cls, values: Any) -> CappedError:
        """The scale p95 - p5 of a reference target.

        Where that is 0 (nearly all one value) the whole range counts, and for a constant max(|value|, 1).
        Raises NotEnoughData when no finite value is there.
        """
        target = np.asarray(as_array(values), dtype=np.float64)
        finite = target[np.isfinite(target)]
        if not finite.size:
            raise NotEnoughData("the reference target holds no finite number; give rows whose label is known")
        with np.errstate(over="ignore"):
            low, high = np.percentile(finite, [5, 95])
            candidates = (high - low, np.ptp(finite), max(abs(finite[0]), 1.0))
        return cls(float(next(c for c in candidates if 0 < c < np.inf)))

    def __call__(self, label: Any, prediction: Any) -> Floats:
        """One loss per row. Raises ValueError when a label or a prediction is missing."""
        _check(label, prediction)
        actual = np.asarray(as_array(label), dtype=np.float64)
        if not np.isfinite(actual).all():
            raise ValueError("label holds inf; quarantine such rows before they are scored")
        with np.errstate(over="ignore"):
            error = np.abs(actual - np.asarray(as_array(prediction), dtype=np.float64)) / self.scale
        return np.minimum(error, 1.0)


def _check(label: Any, prediction: Any) -> None:
    actual, predicted = as_array(label), as_array(prediction)
    if len(actual) != len(predicted):
        raise ValueError(f"{len(actual)} labels, {len(predicted)} predictions: give one prediction per label")
    _refuse_missing("label", actual)
    _refuse_missing("prediction", predicted)


def _refuse_missing(what: str, values: NDArray[Any]) -> None:
    known = labelled(values)
    if known.all():
        return
    bad = np.flatnonzero(~known.reshape(len(values), -1).all(axis=1))
    cure = "score labelled rows only" if what == "label" else "look at the model and its input there"
    raise ValueError(
        f"{what} is missing or NaN on {bad.size} of {len(values)} rows, first on row {bad[0]}: {cure}"
    )
