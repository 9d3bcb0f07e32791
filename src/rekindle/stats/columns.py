"""Labels and predictions as plain NumPy, whatever they came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_array", "classes_of", "decided", "labelled"]


def as_array(values: Any) -> NDArray[Any]:
    """Values as an array; a column of one becomes a row of its values, nullable numbers become plain ones."""
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind in "iufb" and hasattr(values, "isna") and np.asarray(values.isna()).any():
        array = np.asarray(values.to_numpy(dtype="float64", na_value=np.nan))
    else:
        array = np.asarray(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def labelled(label: Any) -> NDArray[np.bool_]:
    """Which labels are known: not None, NaN, NaT or pandas.NA.

    >>> labelled(np.array([1.0, np.nan, 0.0])).tolist()
    [True, False, True]
    """
    array = as_array(label)
    if array.dtype.kind == "O":
        import pandas

        return np.asarray(pandas.notna(array), dtype=bool)
    missing = np.zeros(array.shape, dtype=bool)
    if array.dtype.kind in "fc":
        np.isnan(array, out=missing)
    elif array.dtype.kind in "mM":
        np.isnat(array, out=missing)
    return ~missing


def classes_of(prediction: Any, label: Any, classes: Any = None) -> NDArray[Any] | None:
    """The class behind each column of a probability table; None when nobody can say.

    Taken from `classes`, else from the table's own column names, else from the labels when they show as many
    classes as the table has columns.
    """
    if classes is not None and len(classes):
        return np.asarray(classes)
    if getattr(prediction, "ndim", 0) == 2 and hasattr(prediction, "columns"):
        return np.asarray(prediction.columns)
    seen = np.unique(as_array(label)[labelled(label)])
    array = as_array(prediction)
    width = array.shape[1] if array.ndim == 2 else 2
    return seen if len(seen) == width else None


def decided(prediction: Any, label: Any = (), classes: Any = None) -> NDArray[Any]:
    """Predictions as labels or numbers: of probabilities the likeliest class, everything else as it is.

    Raises ValueError when nobody can say which class a column of probabilities stands for.

    >>> decided(np.array([[0.9, 0.1], [0.2, 0.8]]), classes=["no", "yes"]).tolist()
    ['no', 'yes']
    """
    array = as_array(prediction)
    if array.ndim == 1:
        return array
    known = classes_of(prediction, label, classes)
    if known is None or len(known) != array.shape[1]:
        shown = "none" if known is None else str(len(known))
        raise ValueError(
            f"{array.shape[1]} columns of probabilities and {shown} classes: pass classes=, one a column"
        )
    return np.asarray(known[array.argmax(axis=1)])
