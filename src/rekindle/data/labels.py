"""What was known when. Every reader of labels asks here: scoring, training, gates and backtest alike."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.data.cadence import axis_value, axis_values
from rekindle.errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rekindle.protocols import Source
    from rekindle.records import Moment

__all__ = ["clean_label", "known_at", "known_rows"]


def known_at(rows: pd.DataFrame, source: Source, moment: Moment) -> NDArray[np.bool_]:
    """Which rows have a label that was known at `moment`.

    A label is known when it is not missing and, where the source declares `label_time`, that time is not
    later than the moment. A missing label time counts as "not yet known".

    Returns a boolean array, one entry per row.
    """
    known: NDArray[np.bool_] = rows[source.label].notna().to_numpy(dtype=bool)
    if source.label_time is None or rows.empty:
        return known
    times = rows[source.label_time]
    there = times.notna().to_numpy(dtype=bool)
    arrived = np.zeros(len(rows), dtype=bool)
    if isinstance(moment, datetime) != (times.dtype.kind == "M"):
        raise SchemaError(
            f"the label time {source.label_time!r} must be of the same kind as the time column, "
            "both dates or both an index"
        )
    arrived[there] = axis_values(times[there]) <= axis_value(moment)
    result: NDArray[np.bool_] = known & arrived
    return result


def known_rows(rows: pd.DataFrame, source: Source, moment: Moment) -> pd.DataFrame:
    """The rows with every label hidden that was not known at `moment`."""
    known = known_at(rows, source, moment)
    if known.all():
        return rows
    return rows.assign(**{source.label: rows[source.label].where(known)})


def clean_label(values: pd.Series, task: str) -> NDArray[Any]:
    """Known labels as an array: float64 for regression; whole numbers and truths stay what they are for classes."""
    if task == "regression":
        return np.asarray(values.to_numpy(dtype=np.float64))
    if values.dtype.kind in "iu":
        return np.asarray(values.to_numpy(dtype=np.int64))
    if values.dtype.kind == "f":
        whole = bool((values == np.floor(values)).all())
        return np.asarray(values.to_numpy(dtype=np.int64 if whole else np.float64))
    if values.dtype.kind == "b" or _all_truths(values):
        return np.asarray(values.to_numpy(dtype=bool))
    return np.asarray(values.astype(str).to_numpy(dtype=object))


def _all_truths(values: pd.Series) -> bool:
    """Truths come boxed from a column in which some are missing."""
    import pandas as pd

    return bool(values.dtype == object and pd.api.types.infer_dtype(values, skipna=False) == "boolean")
