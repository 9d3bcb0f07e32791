"""The formulas behind the named metrics, on rows whose labels are known. None where a formula has no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rekindle.records import Floats

__all__ = [
    "accuracy",
    "balanced_accuracy",
    "directional_accuracy",
    "f1",
    "log_loss",
    "mae",
    "r2",
    "rmse",
    "roc_auc",
]

LEAST = float(np.finfo(np.float64).eps)  # least probability in a log loss, as in scikit-learn


def accuracy(label: NDArray[Any], predicted: NDArray[Any], classes: Any = None) -> float:
    """Share of right classes."""
    return float(np.mean(label == predicted))


def balanced_accuracy(label: NDArray[Any], predicted: NDArray[Any], classes: Any = None) -> float | None:
    """Mean share of right classes over the classes that occur; None when fewer than two do."""
    seen = _distinct(label)
    if len(seen) < 2:
        return None
    right = label == predicted
    return float(np.mean([right[label == level].mean() for level in seen]))


def f1(label: NDArray[Any], predicted: NDArray[Any], classes: Any = None) -> float | None:
    """Of two classes the F1 of the second in sorted order, of more the mean over those that occur.

    None when only one class is known of, or when the second one neither occurs nor is predicted.
    """
    present = _distinct(np.concatenate([label, predicted]))
    every = classes if classes is not None else present
    if len(every) < 2:
        return None
    if len(every) == 2:
        return _f1_of(label, predicted, every[1])
    each = [_f1_of(label, predicted, level) for level in present]
    return float(np.mean([value for value in each if value is not None]))


def roc_auc(label: NDArray[Any], probability: Floats, classes: Any = None) -> float | None:
    """Area under the ROC curve; of more than two classes the mean of one against the rest.

    None when a class does not occur among the labels. One-dimensional probabilities are those of the second
    class in sorted order.
    """
    if probability.ndim == 1:
        known = classes if classes is not None else _distinct(label)
        return _auc(label == known[1], probability) if len(known) == 2 else None
    each = [_auc(label == level, probability[:, i]) for i, level in enumerate(classes)]
    return None if None in each else float(np.mean(each))  # type: ignore[arg-type]


def log_loss(label: NDArray[Any], probability: Floats, classes: Any = None) -> float | None:
    """Mean of -log(probability given to the class that came true), probabilities not below 2.2e-16.

    A class the model never knew counts as given probability 0. None when the numbers are no probabilities.
    """
    if probability.min() < 0 or probability.max() > 1 + 1e-9:
        return None
    if probability.ndim == 1:
        known = classes if classes is not None else _distinct(label)
        if len(known) != 2:
            return None
        probability, classes = np.stack([1 - probability, probability], axis=1), known
    given = np.zeros(len(label))
    for i, level in enumerate(classes):
        rows = label == level
        given[rows] = probability[rows, i]
    return float(-np.mean(np.log(np.clip(given, LEAST, 1.0))))


def mae(label: Any, predicted: Any, classes: Any = None) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(_errors(label, predicted))))


def rmse(label: Any, predicted: Any, classes: Any = None) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean(_errors(label, predicted) ** 2)))


def r2(label: Any, predicted: Any, classes: Any = None) -> float | None:
    """1 less the squared error's share of the labels' variance; None when the labels do not vary."""
    actual = _floats(label)
    if actual.min() == actual.max():
        return None
    spread = float(np.sum((actual - actual.mean()) ** 2))
    return 1.0 - float(np.sum(_errors(label, predicted) ** 2)) / spread if spread else None


def directional_accuracy(label: Any, predicted: Any, classes: Any = None) -> float:
    """Share of rows whose sign was right: mean(sign(prediction) == sign(label)) (checklist row 1)."""
    return float(np.mean(np.sign(_floats(predicted)) == np.sign(_floats(label))))


def _floats(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _errors(label: Any, predicted: Any) -> Floats:
    return _floats(label) - _floats(predicted)


def _distinct(labels: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.unique(labels)
    except TypeError:  # text and numbers in one column have no order of their own
        return np.array(sorted(set(labels.tolist()), key=repr), dtype=object)


def _f1_of(label: NDArray[Any], predicted: NDArray[Any], level: Any) -> float | None:
    truly, said = label == level, predicted == level
    together = int(truly.sum() + said.sum())
    return 2.0 * int((truly & said).sum()) / together if together else None


def _auc(positive: NDArray[np.bool_], score: Floats) -> float | None:
    """Mann and Whitney: the share of pairs in the right order, ties half."""
    ones = int(np.count_nonzero(positive))
    zeros = positive.size - ones
    if not ones or not zeros:
        return None
    _, tie, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(size) - (size - 1) / 2
    return float((rank[tie][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
