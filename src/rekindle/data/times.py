"""Time columns in memory: dates, text or a whole-number index become aware UTC or int64."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from rekindle.errors import SchemaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "AWARE",
    "FIRST",
    "LAST",
    "MOST",
    "WANTED",
    "checked_moment",
    "in_memory_time",
    "like_axis",
    "mixed_zones",
]

# Text that ends in a zone: "Z", "+02:00", "+0200", "+02" after a time of day, or a zone's name.
AWARE = (
    r"(:[0-9]{2}(\.[0-9]+)?\s*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?|[A-Za-z]+(/[A-Za-z_+-]+)*)"
    r"|[+-][0-9]{2}:[0-9]{2}|[zZ])$"
)
MOST = 2**62  # an index beyond this would leave 64 bits as soon as a batch is laid over it
FIRST, LAST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)
WANTED = "a time column is a date or a whole-number index"


def in_memory_time(values: pd.Series, column: str, tz: str | None, where: str = "the frame") -> pd.Series:
    """A time column as int64 (an index; Int64 where some are missing) or as aware UTC in microseconds.

    Naive times are read in the zone `tz`, or as UTC. Raises SchemaError for anything that is no time, for aware
    and naive times in one column, and for moments outside the years 1 to 9999.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if values.dtype == object:
        values = _without_objects(values)
    kind = values.dtype.kind
    if kind in "iuf":
        return _index(values, column, where)
    if kind != "M":
        values = _parsed(values, column, where)
    if values.dt.tz is None:
        values = _localised(values, tz)
    stamps = values.dt.tz_convert(UTC).dt.as_unit("us")
    outside = ((stamps < FIRST) | (stamps > LAST)).to_numpy()
    if outside.any():
        raise SchemaError(f"{where}: {column!r} holds a time outside the years 1 to 9999")
    return stamps


def like_axis(values: pd.Series, axis: pd.Series, column: str, where: str = "the frame") -> pd.Series:
    """A label time on the same kind of axis as the time column; an all-missing column takes its kind."""
    if (values.dtype.kind == "M") == (axis.dtype.kind == "M"):
        return values
    if values.notna().any():
        raise SchemaError(
            f"{where}: the label time {column!r} must be of the same kind as the time column, "
            "both dates or both an index"
        )
    kind = axis.dtype if axis.dtype.kind == "M" else "Int64"
    return pd.Series(pd.NaT if axis.dtype.kind == "M" else pd.NA, index=values.index, dtype=kind)


def mixed_zones(where: str, column: str) -> SchemaError:
    """The error for a column with aware and naive times."""
    return SchemaError(
        f"{where}: {column!r} mixes times with and without a time zone; "
        "write all of them with an offset, or none and declare tz="
    )


def checked_moment(micros: int, where: str, column: str) -> datetime:
    """Microseconds since 1970 as an aware datetime; SchemaError outside the years 1 to 9999."""
    try:
        moment: datetime = pd.Timestamp(micros, unit="us", tz="UTC").to_pydatetime()
    except (ValueError, OverflowError):
        moment = datetime.max.replace(tzinfo=UTC)
    if not FIRST <= moment <= LAST:
        raise SchemaError(f"{where}: {column!r} holds a time outside the years 1 to 9999")
    return moment


def _without_objects(values: pd.Series) -> pd.Series:
    """Python ints and floats out of their boxes; anything else as it was."""
    there = values.dropna()
    kinds = {type(v) for v in there}
    if not kinds or not all(issubclass(k, (int, float, np.integer, np.floating)) for k in kinds):
        return values
    if any(issubclass(k, (bool, np.bool_)) for k in kinds):
        return values
    if all(issubclass(k, (int, np.integer)) for k in kinds) and all(abs(v) <= MOST for v in there):
        return values.astype("Int64")
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _index(values: pd.Series, column: str, where: str) -> pd.Series:
    there = values.dropna()
    if values.dtype.kind == "f":
        fractions = there[~np.isfinite(there) | (there != np.floor(there))]
        if len(fractions):
            raise SchemaError(f"{where}: {column!r} holds {fractions.iloc[0]}; {WANTED}")
    if len(there) and (there.max() > MOST or there.min() < -MOST):
        raise SchemaError(f"{where}: {column!r} holds an index beyond 2**62; count from nearer to 0")
    return values.astype("Int64") if len(there) < len(values) else values.astype("int64")


def _parsed(values: pd.Series, column: str, where: str) -> pd.Series:
    there = values.dropna()
    if values.dtype.kind in "bcmV" or isinstance(values.dtype, pd.PeriodDtype):
        raise SchemaError(f"{where}: {column!r} is of type {values.dtype}; {WANTED}")
    strange = [v for v in there if not isinstance(v, (str, date, datetime, np.datetime64))]
    if strange:
        raise SchemaError(f"{where}: {column!r} holds {strange[0]!r}; {WANTED}")
    if there.empty:
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    aware = {
        v.tzinfo is not None if isinstance(v, datetime) else bool(re.search(AWARE, str(v).strip()))
        for v in there
    }
    if len(aware) > 1:
        raise mixed_zones(where, column)
    try:
        return pd.to_datetime(values, utc=aware == {True}, format="ISO8601")
    except (ValueError, TypeError, OverflowError) as error:
        raise SchemaError(
            f"{where}: {column!r} holds something that is no time ({str(error).splitlines()[0]}); "
            "write ISO 8601, e.g. 2026-03-01T12:00:00+00:00"
        ) from error


def _localised(values: pd.Series, tz: str | None) -> pd.Series:
    """Naive times in their zone, by the rule that DuckDB has too.

    An hour that happens twice is read as its second time; one that never was, as if the clock had not yet changed.
    """
    second: NDArray[np.bool_] = np.zeros(len(values), dtype=bool)
    zone: Any = ZoneInfo(tz) if tz else UTC
    try:
        return values.dt.tz_localize(zone, ambiguous=second, nonexistent=pd.Timedelta(hours=1))
    except OverflowError:
        raise SchemaError("the frame: a time lies outside the years 1 to 9999") from None
