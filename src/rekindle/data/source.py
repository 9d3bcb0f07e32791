"""What every source declares about its columns, and the source for rows in memory."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from rekindle.errors import DeclarationError, SchemaError, did_you_mean
from rekindle.records import Extent, Moment, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Columns", "Frame", "mixed_zones"]

OFFSET = re.compile(r"(?:[zZ]|[+-]\d\d:?\d\d)$")


@dataclass(frozen=True)
class Columns:
    """What every source says about its columns."""

    _: KW_ONLY
    time: str  # time column: timezone-aware, naive (read as UTC unless tz is given), or an integer index
    label: str  # label column; missing where it is not known yet
    label_time: str | None = None  # when a label became known; None: as soon as it is there
    id: str | None = None  # unique row id
    tz: str | None = None  # IANA zone of naive times, e.g. "Europe/Berlin"
    exclude: tuple[str, ...] = ()  # columns that are no features

    def __post_init__(self) -> None:
        named = [self.time, self.label, *filter(None, (self.label_time, self.id))]
        for twice in {n for n in named if named.count(n) > 1}:
            raise DeclarationError("label", twice, "time, label, label_time and id must be different columns")
        if isinstance(self.exclude, str):
            raise DeclarationError(
                "exclude", self.exclude, f"give a list of columns, e.g. exclude=[{self.exclude!r}]"
            )
        object.__setattr__(self, "exclude", tuple(self.exclude))
        if self.tz is not None:
            try:
                ZoneInfo(self.tz)
            except (KeyError, ValueError, OSError) as error:
                raise DeclarationError("tz", self.tz, "give an IANA zone, e.g. 'Europe/Berlin'") from error

    @property
    def reserved(self) -> tuple[str, ...]:
        """Columns that are never features."""
        return (self.time, self.label, *filter(None, (self.label_time, self.id)), *self.exclude)

    def require(self, present: Sequence[str], where: str) -> None:
        """Raise SchemaError when a declared column is missing."""
        for role in ("time", "label", "label_time", "id"):
            name = getattr(self, role)
            if name is not None and name not in present:
                raise SchemaError(
                    f"{where} has no column {name!r} (declared as {role}). {did_you_mean(name, present)}"
                )


@dataclass(frozen=True, init=False)
class Frame(Columns):
    """Rows in memory: a pandas, polars or Arrow table.

    >>> rows = pd.DataFrame({"t": [0, 1], "x": [1.0, 2.0], "y": [0, 1]})
    >>> Frame(rows, time="t", label="y").extent().rows
    2
    """

    rows: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)

    def __init__(self, rows: Any, *, time: str, label: str, label_time: str | None = None, id: str | None = None,
                 tz: str | None = None, exclude: Sequence[str] = ()) -> None:  # fmt: skip
        import narwhals as nw

        for name, value in (
            ("time", time),
            ("label", label),
            ("label_time", label_time),
            ("id", id),
            ("tz", tz),
            ("exclude", exclude),
        ):
            object.__setattr__(self, name, value)
        self.__post_init__()
        try:
            table = nw.from_native(rows, eager_only=True).to_pandas()
        except TypeError as error:
            raise DeclarationError(
                "rows", type(rows).__name__, "give a pandas, polars or Arrow table"
            ) from error
        self.require([str(c) for c in table.columns], "the frame")
        table = table.copy(deep=False)
        for column in filter(None, (time, label_time)):
            table[column] = _in_memory_time(table[column], column, tz)
        other_times = [c for c in table.columns if table[c].dtype.kind == "M" and c not in (time, label_time)]
        object.__setattr__(self, "left_out", tuple(f"{c} (a date)" for c in other_times))
        table = table.drop(columns=other_times)
        table = table[table[time].notna()].sort_values(time, kind="stable", ignore_index=True)
        object.__setattr__(self, "rows", table)

    def extent(self) -> Extent:
        times = self.rows[self.time]
        if times.empty:
            return Extent(None, None, 0)
        index = times.dtype.kind != "M"
        ends = [int(v) if index else v.to_pydatetime() for v in (times.iloc[0], times.iloc[-1])]
        return Extent(ends[0], ends[1], len(times))

    def read(self, window: Window) -> pd.DataFrame:
        times = self.rows[self.time]
        lo = 0 if window.start is None else times.searchsorted(_like(times, window.start), side="left")
        hi = len(times) if window.end is None else times.searchsorted(_like(times, window.end), side="left")
        return self.rows.iloc[lo:hi].reset_index(drop=True)

    def describe(self) -> dict[str, Any]:
        """What the declaration says, for the revision."""
        return {"kind": "Frame", "columns": sorted(map(str, self.rows.columns)), "time": self.time, "label": self.label,
                "label_time": self.label_time, "id": self.id, "tz": self.tz, "exclude": list(self.exclude)}  # fmt: skip


def mixed_zones(where: str, column: str) -> SchemaError:
    return SchemaError(
        f"{where}: {column!r} mixes times with and without a time zone; "
        "write all of them with an offset, or none and declare tz="
    )


def _in_memory_time(values: pd.Series, column: str, tz: str | None) -> pd.Series:
    if values.dtype.kind in "iu":
        return values.astype("int64")
    if values.dtype.kind == "f" and np.all(values.dropna() == np.floor(values.dropna())):
        return values.astype("Int64") if values.isna().any() else values.astype("int64")
    if values.dtype.kind != "M":
        values = _parsed(values, column)
    if values.dt.tz is None:
        values = values.dt.tz_localize(
            ZoneInfo(tz) if tz else UTC, ambiguous="NaT", nonexistent="shift_forward"
        )
    return values.dt.tz_convert(UTC).dt.as_unit("us")


def _parsed(values: pd.Series, column: str) -> pd.Series:
    if values.dtype.kind in "fbc":
        raise SchemaError(f"the frame: {column!r} is no date and no whole-number index")
    aware = {
        v.tzinfo is not None if isinstance(v, datetime) else bool(OFFSET.search(str(v)))
        for v in values.dropna()
    }
    if len(aware) > 1:
        raise mixed_zones("the frame", column)
    try:
        return pd.to_datetime(values, utc=aware == {True}, format=None if not len(values) else "ISO8601")
    except (ValueError, TypeError) as error:
        raise SchemaError(f"the frame: {column!r} holds something that is no time: {error}") from error


def _like(times: pd.Series, moment: Moment) -> Any:
    if isinstance(moment, datetime) != (times.dtype.kind == "M"):
        raise SchemaError("the time column and the asked window do not speak the same time")
    return pd.Timestamp(moment).as_unit("us") if isinstance(moment, datetime) else int(moment)
