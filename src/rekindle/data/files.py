"""Rows in Parquet and CSV files, read by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import escape, glob
from pathlib import Path
from typing import Any

import pandas as pd

from rekindle.data import duck
from rekindle.data.source import Columns
from rekindle.data.time_columns import TimeColumn, blank, every_zoned, examine
from rekindle.data.times import checked_moment, mixed_zones
from rekindle.errors import DeclarationError, SchemaError, SourceError
from rekindle.records import Extent, Moment, Window

__all__ = ["CSV", "Parquet"]

# Text that stands for a missing value in CSV files, as pandas reads them.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>")


@dataclass(frozen=True)
class _Layout:
    """What one look at the files found."""

    time: TimeColumn
    label_time: TimeColumn | None
    kept: tuple[str, ...]  # columns that are read, besides the times
    dated_id: str | None  # the id column where it holds dates: it is read as text
    left_out: tuple[str, ...]  # "column (why)"
    print: tuple[object, ...]  # names, sizes and times of the files: the layout holds while it does


@dataclass(frozen=True)
class _Files(Columns):
    """Files that DuckDB can read."""

    path: str = ""
    _layouts: dict[str, _Layout] = field(default_factory=dict, init=False, repr=False, compare=False)
    _extents: dict[tuple[object, ...], Extent] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def files(self) -> list[str]:
        """The files the path stands for, sorted. Raises SourceError when there is none, or an empty one."""
        path = Path(self.path).expanduser()
        try:
            found = [str(path)] if path.is_file() else self._found(path)
            empty = [name for name in found if Path(name).stat().st_size == 0]
        except OSError as error:
            raise SourceError(
                f"{self.path} cannot be read: {error.strerror or error}. Check its rights."
            ) from error
        if not found:
            where = path.absolute().parent if not path.is_dir() else path.absolute()
            raise SourceError(
                f"no file matches {self.path!r} (looked in {where}). Check the path or the glob."
            )
        if empty:
            raise SourceError(f"{empty[0]} is empty (0 bytes). Remove it or write it again.")
        return found

    def _found(self, path: Path) -> list[str]:
        pattern = f"{escape(str(path))}/**/*.{self.kind}" if path.is_dir() else str(path)
        return sorted(f for f in glob(pattern, recursive=True) if Path(f).is_file())

    @property
    def kind(self) -> str:
        raise NotImplementedError

    def relation(self, files: list[str]) -> str:
        """The SQL that stands for the rows of these files."""
        raise NotImplementedError

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns that are not read, each with the reason."""
        return self._layout(self.files()).left_out

    def extent(self) -> Extent:
        files = self.files()
        layout = self._layout(files)
        if layout.print not in self._extents:
            self._extents.clear()
            self._extents[layout.print] = self._measured(files, layout.time)
        return self._extents[layout.print]

    def _measured(self, files: list[str], time: TimeColumn) -> Extent:
        row = duck.run(
            f"SELECT min({time.micros}), max({time.micros}), count({time.micros}) FROM {self.relation(files)}",
            reading=self.path,
        ).fetchone()
        first, last, rows = row if row else (None, None, 0)
        return Extent(self._moment(first, time), self._moment(last, time), int(rows))

    def read(self, window: Window) -> pd.DataFrame:
        files = self.files()
        layout = self._layout(files)
        times = [t for t in (layout.time, layout.label_time) if t is not None]
        picked = [_picked(c, c == layout.dated_id) for c in layout.kept]
        picked += [f"{t.micros} AS {duck.quote(t.name)}" for t in times]
        where, values = layout.time.bounded(window.start, window.end)
        query = f"SELECT {', '.join(picked)} FROM {self.relation(files)} WHERE {where}"
        frame = duck.frame(query, values, reading=self.path)
        for time in times:
            frame[time.name] = _time_column(frame[time.name], layout.time.index)
        return frame.sort_values(self.time, kind="stable", ignore_index=True)

    def _moment(self, value: int | None, time: TimeColumn) -> Moment | None:
        return value if value is None or time.index else checked_moment(value, self.path, time.name)

    def _layout(self, files: list[str]) -> _Layout:
        try:
            seen = tuple((f, Path(f).stat().st_size, Path(f).stat().st_mtime_ns) for f in files)
        except OSError as error:
            raise SourceError(
                f"{self.path} changed while it was read: {error}. Run the command again."
            ) from error
        known = self._layouts.get("last")
        if known is not None and known.print == seen:
            return known
        types = self._types(files)
        self.require(list(types), self.path)
        time = self._examined(files, self.time, types[self.time])
        arrives = None if self.label_time is None else self._label_time(files, time, types[self.label_time])
        kept, left_out = self._readable(types)
        dated = self.id if self.id is not None and _unreadable(types[self.id]) else None
        layout = _Layout(time, arrives, kept, dated, left_out, seen)
        self._layouts["last"] = layout
        return layout

    def _types(self, files: list[str]) -> dict[str, str]:
        rows = duck.run(f"DESCRIBE SELECT * FROM {self.relation(files)}", reading=self.path).fetchall()
        return {str(r[0]): str(r[1]).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for r in rows}

    def _examined(self, files: list[str], name: str, kind: str) -> TimeColumn:
        if kind.startswith("TIMESTAMP"):
            self._check_one_kind(files, name, kind)
        return examine(self.relation(files), name, kind, self.tz, self.path)

    def _label_time(self, files: list[str], time: TimeColumn, kind: str) -> TimeColumn:
        assert self.label_time is not None
        if blank(self.relation(files), self.label_time, self.path):
            return TimeColumn(self.label_time, time.kind, time.zoned, self.tz, blank=True)
        arrives = self._examined(files, self.label_time, kind)
        if arrives.index != time.index:
            raise SchemaError(
                f"{self.path}: the label time {self.label_time!r} must be of the same kind as the time column, "
                "both dates or both an index"
            )
        return arrives

    def _readable(self, types: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        kept, left_out = [], []
        for name, kind in types.items():
            why = _unreadable(kind)
            if name in (self.time, self.label_time):
                continue
            if why and name == self.label:
                raise SchemaError(
                    f"{self.path}: the label {name!r} is {why}; give a number, a word or true/false"
                )
            if why and not (name == self.id and why == "a date"):
                left_out.append(f"{name} ({why})")
            else:
                kept.append(name)
        if self.id is not None and self.id not in kept:
            raise SchemaError(
                f"{self.path}: the id {self.id!r} is a nested or binary column; give a number or text"
            )
        return tuple(kept), tuple(left_out)

    def _check_one_kind(self, files: list[str], column: str, kind: str) -> None:
        """Values of one column may differ in having a zone without DuckDB minding."""

    def describe(self) -> dict[str, Any]:
        """What the declaration says, for the revision."""
        return {"kind": type(self).__name__, "path": self.path, "time": self.time, "label": self.label,
                "label_time": self.label_time, "id": self.id, "tz": self.tz, "exclude": list(self.exclude)}  # fmt: skip


@dataclass(frozen=True, init=False)
class Parquet(_Files):
    """Rows in Parquet files: a file, a folder or a glob.

    Parameters: `time` a date, naive (UTC, or `tz`) or aware, or a whole-number index; `label` missing where it is not
    known yet; `label_time` when it became known; `id` unique, twice is a bad row; `exclude` columns that are no
    features. Write a file to the side and rename it into place: a tick may be reading.

    >>> Parquet("churn/*.parquet", time="ts", label="churned", label_time="known_at", id="row_id").time
    'ts'
    """

    def __init__(self, path: str | Path, *, time: str, label: str, label_time: str | None = None, id: str | None = None,
                 tz: str | None = None, exclude: Sequence[str] = ()) -> None:  # fmt: skip
        _init(self, path, time, label, label_time, id, tz, exclude)

    @property
    def kind(self) -> str:
        return "parquet"

    def relation(self, files: list[str]) -> str:
        return f"read_parquet([{_listed(files)}], union_by_name=true)"

    def _check_one_kind(self, files: list[str], column: str, kind: str) -> None:
        if len(files) == 1:
            return
        kinds = duck.run(
            f"SELECT DISTINCT logical_type LIKE '%isAdjustedToUTC=1%' OR logical_type LIKE '%isAdjustedToUTC=true%' "
            f"FROM parquet_schema([{_listed(files)}]) WHERE name = ? AND logical_type IS NOT NULL",
            [column],
            reading=self.path,
        ).fetchall()
        if len(kinds) > 1:
            raise mixed_zones(self.path, column)


@dataclass(frozen=True, init=False)
class CSV(_Files):
    """Rows in CSV files with a header: a file, a folder or a glob.

    Empty fields, NA, NaN, null and None are missing values; true/false and yes/no are truths. Times carry an offset
    in every row or in none. Read anew at each tick: for more than some 100,000 rows write Parquet.
    """

    def __init__(self, path: str | Path, *, time: str, label: str, label_time: str | None = None, id: str | None = None,
                 tz: str | None = None, exclude: Sequence[str] = ()) -> None:  # fmt: skip
        _init(self, path, time, label, label_time, id, tz, exclude)

    @property
    def kind(self) -> str:
        return "csv"

    def relation(self, files: list[str]) -> str:
        return self._as_written(files, "")

    def _as_written(self, files: list[str], types: str) -> str:
        missing = ", ".join(f"'{m}'" for m in MISSING)
        return (
            f"read_csv([{_listed(files)}], header=true, skip=0, sample_size=-1, union_by_name=true, "
            f"nullstr=[{missing}]{types})"
        )

    def _types(self, files: list[str]) -> dict[str, str]:
        types = super()._types(files)
        if len(types) == 1 and self.time not in types and self.time in next(iter(types)):
            raise SourceError(
                f"{self.path}: its lines do not split into the columns of the header ({next(iter(types))}); "
                "give every line the same number of fields"
            )
        return types

    def _check_one_kind(self, files: list[str], column: str, kind: str) -> None:
        # The sniffer takes naive times among aware ones for UTC, and "... UTC" for naive.
        quoted = column.replace("'", "''")
        written = self._as_written(files, f", types={{'{quoted}': 'VARCHAR'}}")
        if every_zoned(written, column, self.path) and kind == "TIMESTAMP" and self.tz:
            raise SchemaError(f"{self.path}: {column!r} says its zone in every value; leave tz= out")


def _init(source: _Files, path: str | Path, *columns: Any) -> None:
    for name, value in zip(("time", "label", "label_time", "id", "tz", "exclude"), columns, strict=True):
        object.__setattr__(source, name, value)
    object.__setattr__(source, "path", str(path))
    object.__setattr__(source, "_layouts", {})
    object.__setattr__(source, "_extents", {})
    if "://" in str(path):
        raise DeclarationError("path", str(path), "give a path on this machine; buckets are not read yet")
    source.__post_init__()


def _picked(column: str, as_text: bool) -> str:
    name = duck.quote(column)
    return f"CAST({name} AS VARCHAR) AS {name}" if as_text else name


def _unreadable(kind: str) -> str:
    if kind.startswith(("TIMESTAMP", "DATE", "TIME", "INTERVAL")):
        return "a date"
    if kind.endswith("]") or kind.startswith(
        ("STRUCT", "MAP", "UNION", "BLOB", "BIT", "JSON", "VARIANT", "GEOMETRY")
    ):
        return "a nested or binary column"
    return ""


def _listed(files: list[str]) -> str:
    # DuckDB takes every name for a glob
    return ", ".join("'" + escape(f).replace("'", "''") + "'" for f in files)


def _time_column(values: pd.Series, index: bool) -> pd.Series:
    if index:
        return values.astype("Int64") if values.isna().any() else values.astype("int64")
    return pd.to_datetime(values, unit="us", utc=True).dt.as_unit("us")
