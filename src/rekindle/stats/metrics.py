"""Metrics: one number for people about a set of labelled rows. None, never nan, where it cannot be computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.errors import DeclarationError, did_you_mean
from rekindle.stats import scores
from rekindle.stats.columns import as_array, classes_of, decided, labelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["METRICS", "Metric", "metric"]

CLASSIFICATION, REGRESSION = "classification", "regression"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number about labelled rows and its direction; by name through `metric`, of your own by `Metric.of`.

    >>> metric("accuracy").value([1, 0, 1, 1], [1, 0, 0, 1])
    0.75
    """

    name: str  # what people read
    higher_is_better: bool  # its direction
    function: Callable[[Any, Any, Any], float | None]  # (labels, predictions, classes or None) -> the number
    needs_probability: bool = False  # gets probabilities; else class labels or numbers
    tasks: tuple[str, ...] = (CLASSIFICATION, REGRESSION)  # what it can be used for

    @classmethod
    def of(
        cls,
        function: Callable[[Any, Any], float],
        *,
        name: str = "",
        higher_is_better: bool,
        needs_probability: bool = False,
    ) -> Metric:
        """A metric from your own function of (labels, predictions), e.g. any of sklearn.metrics.

        With `needs_probability` it is given the probability of the second class, or the table of all of them
        when there are more than two.
        """
        if not callable(function):
            raise DeclarationError("function", function, "give a function of (labels, predictions)")
        shown = name or getattr(function, "__name__", type(function).__name__)
        if not isinstance(higher_is_better, bool):
            raise DeclarationError("higher_is_better", higher_is_better, "say True or False")
        return cls(shown, higher_is_better, _Own(function), needs_probability)

    def value(self, label: Any, prediction: Any, classes: Any = None) -> float | None:
        """The metric on the rows whose label is known; None when it cannot be computed there.

        `classes` name the columns of a table of probabilities. Errors of your own function are passed on.
        """
        actual, keep = as_array(label), labelled(label)
        known = _known_classes(prediction, label, classes)
        outputs = as_array(prediction)
        if not keep.any() or len(actual) != len(outputs):
            return None
        actual, outputs = actual[keep], outputs[keep]
        if not labelled(outputs).all():
            return None
        given = _given(outputs, known) if self.needs_probability else _labels(outputs, known)
        if given is None:
            return None
        with np.errstate(all="ignore"):  # what overflows is inf, and inf is answered with None
            result = self.function(actual, given, known)
        return None if result is None or not math.isfinite(result) else float(result)


def metric(name: str) -> Metric:
    """The metric of a name: accuracy, balanced_accuracy, f1, roc_auc, log_loss, mae, rmse, r2 or
    directional_accuracy. Raises DeclarationError with the nearest name for any other.

    >>> metric("rmse").higher_is_better
    False
    """
    if name not in METRICS:
        own = "Or give your own: rk.Metric.of(function, higher_is_better=True)"
        raise DeclarationError("metric", name, f"{did_you_mean(str(name), METRICS)} {own}")
    return METRICS[name]


@dataclass(frozen=True, slots=True)
class _Own:
    """A user's function of two arguments; equal when the function is the same."""

    function: Callable[[Any, Any], float]

    def __call__(self, label: Any, prediction: Any, classes: Any) -> float:
        return float(self.function(label, prediction))


def _known_classes(prediction: Any, label: Any, classes: Any) -> NDArray[Any] | None:
    if classes is not None and len(classes):
        return np.asarray(classes)
    return classes_of(prediction, label) if as_array(prediction).ndim == 2 else None


def _labels(outputs: NDArray[Any], known: NDArray[Any] | None) -> NDArray[Any] | None:
    if outputs.ndim == 1:
        return outputs
    return None if known is None or len(known) != outputs.shape[1] else decided(outputs, classes=known)


def _given(outputs: NDArray[Any], known: NDArray[Any] | None) -> NDArray[Any] | None:
    """Probabilities as a metric wants them: of the second class alone when there are two."""
    if outputs.ndim == 1:
        return outputs if outputs.dtype.kind == "f" else None  # class labels are no probabilities
    if outputs.dtype.kind not in "fiub":
        return None
    if known is None or len(known) != outputs.shape[1]:
        return None
    return outputs[:, 1] if outputs.shape[1] == 2 else outputs


METRICS = {
    m.name: m
    for m in (
        Metric("accuracy", True, scores.accuracy, tasks=(CLASSIFICATION,)),
        Metric("balanced_accuracy", True, scores.balanced_accuracy, tasks=(CLASSIFICATION,)),
        Metric("f1", True, scores.f1, tasks=(CLASSIFICATION,)),
        Metric("roc_auc", True, scores.roc_auc, needs_probability=True, tasks=(CLASSIFICATION,)),
        Metric("log_loss", False, scores.log_loss, needs_probability=True, tasks=(CLASSIFICATION,)),
        Metric("mae", False, scores.mae, tasks=(REGRESSION,)),
        Metric("rmse", False, scores.rmse, tasks=(REGRESSION,)),
        Metric("r2", True, scores.r2, tasks=(REGRESSION,)),
        Metric("directional_accuracy", True, scores.directional_accuracy, tasks=(REGRESSION, CLASSIFICATION)),
    )
}
