"""What every source declares about its columns, and the source for rows in memory."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd

from rekindle.data.times import in_memory_time, like_axis
from rekindle.errors import DeclarationError, SchemaError, did_you_mean
from rekindle.records import Extent, Moment, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Columns", "Frame"]


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
        for role in ("time", "label", "label_time", "id", "tz"):
            value, optional = getattr(self, role), role not in ("time", "label")
            if not (isinstance(value, str) and value) and not (optional and value is None):
                raise DeclarationError(
                    role, value, "give a zone's name" if role == "tz" else "give a column's name"
                )
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
        table = _as_pandas(rows)
        self.require(list(table.columns), "the frame")
        table[time] = in_memory_time(table[time], time, tz)
        if label_time is not None:
            arrived = in_memory_time(table[label_time], label_time, tz)
            table[label_time] = like_axis(arrived, table[time], label_time)
        other_times = [
            c for c in table.columns if table[c].dtype.kind == "M" and c not in (time, label_time, label)
        ]
        object.__setattr__(self, "left_out", tuple(f"{c} (a date)" for c in other_times))
        table = table.drop(columns=other_times)
        table = table[table[time].notna()].sort_values(time, kind="stable", ignore_index=True)
        if table[time].dtype.kind in "iu":
            table[time] = table[time].astype("int64")
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


def _as_pandas(rows: Any) -> pd.DataFrame:
    """The table as pandas, columns named by text; the caller's own table is not touched."""
    import narwhals as nw

    if isinstance(rows, pd.DataFrame):
        table = rows.copy(deep=False)
    else:
        try:
            table = _converted(nw.from_native(rows, eager_only=True))
        except TypeError as error:
            raise DeclarationError(
                "rows", type(rows).__name__, "give a pandas, polars or Arrow table"
            ) from error
    table.columns = pd.Index([str(c) for c in table.columns], dtype=object)
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise SchemaError(f"the frame has two columns named {twice[0]!r}; give each its own name")
    return table


def _converted(table: Any) -> pd.DataFrame:
    """Any other table; without pyarrow column by column, so that polars needs nothing else."""
    try:
        whole: pd.DataFrame = table.to_pandas()
    except ModuleNotFoundError:
        whole = pd.DataFrame({c: _converted_column(table[c]) for c in table.columns}, copy=False)
    return whole


def _converted_column(values: Any) -> pd.Series:
    missing = values.is_null().to_numpy().astype(bool)
    if values.dtype.is_integer() and missing.any():
        return pd.Series(pd.arrays.IntegerArray(values.fill_null(0).to_numpy().copy(), missing))
    column = pd.Series(values.to_numpy())
    zone = getattr(values.dtype, "time_zone", None)
    return column.dt.tz_localize("UTC") if zone else column


def _like(times: pd.Series, moment: Moment) -> Any:
    if isinstance(moment, datetime) != (times.dtype.kind == "M"):
        raise SchemaError("the time column and the asked window do not speak the same time")
    return pd.Timestamp(moment).as_unit("us") if isinstance(moment, datetime) else int(moment)
