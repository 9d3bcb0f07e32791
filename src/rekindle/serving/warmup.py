"""Before a model serves: predict its probe rows, check the answers, take the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rekindle.errors import BundleError

if TYPE_CHECKING:
    from rekindle.serving.slot import Servable

__all__ = ["count_rows", "warm_up"]

INLINE_SECONDS = 200e-6  # a predict cheaper than this costs an event loop less than a trip to another thread


def count_rows(rows: Any) -> int:
    """How many rows these are; something without a length is one."""
    try:
        return len(rows)
    except TypeError:
        return 1


def warm_up(servable: Servable, calls: int) -> int:
    """Predict the probe rows and check the answers; returns how many rows are cheap enough for an event loop."""
    probe = servable.probe
    rows, seconds = 0 if probe is None else count_rows(probe), float("inf")
    if rows == 0:
        return 0
    try:
        for _ in range(max(1, calls)):
            start = time.perf_counter()
            prediction = servable.predict(probe)
            seconds = min(seconds, time.perf_counter() - start)
        fault = _fault(prediction, rows)
    except Exception as exc:
        raise BundleError(
            f"{servable.label} cannot predict its own probe rows ({type(exc).__name__}: {exc}); not swapped in"
        ) from exc
    if fault:
        raise BundleError(f"{servable.label} {fault} for its {rows} probe rows; not swapped in")
    return int(rows * INLINE_SECONDS / max(seconds, 1e-9)) if seconds < INLINE_SECONDS else 0


def _fault(prediction: Any, rows: int) -> str:
    """What is wrong with a prediction; empty when nothing is."""
    import numpy as np

    values = np.asarray(prediction)
    if values.ndim == 0 or len(values) != rows:
        return f"gives predictions of shape {values.shape}"
    if values.dtype.kind in "fc":
        missing = not np.isfinite(values).all()
    else:
        missing = values.dtype == object and any(v is None or v != v for v in values.flat)
    return "predicts NaN, infinite or missing values" if missing else ""
