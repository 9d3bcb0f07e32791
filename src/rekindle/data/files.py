"""Rows in Parquet and CSV files, read by DuckDB."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rekindle.data import duck
from rekindle.data.cadence import axis_value
from rekindle.data.source import Columns, mixed_zones
from rekindle.errors import DeclarationError, SchemaError, SourceError
from rekindle.records import Extent, Moment, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CSV", "Parquet"]

INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
}
TIMES_ARE = "a time column is a date or a whole-number index"
NUMBERS = INTEGERS | {"FLOAT", "DOUBLE"}


@dataclass(frozen=True)
class _Layout:
    """What one look at the files found."""

    types: dict[str, str]  # column -> DuckDB type
    kept: tuple[str, ...]  # columns that are read, besides the times
    left_out: tuple[str, ...]  # "column (why)"
    print: tuple[object, ...]  # names, sizes and times of the files: the layout holds while it does


@dataclass(frozen=True)
class _Files(Columns):
    """Files that DuckDB can read."""

    path: str = ""
    _layouts: dict[str, _Layout] = field(default_factory=dict, init=False, repr=False, compare=False)

    def files(self) -> list[str]:
        """The files the path stands for, sorted."""
        path = Path(self.path).expanduser()
        pattern = str(path / "**" / f"*.{self.kind}") if path.is_dir() else str(path)
        found = sorted(f for f in glob(pattern, recursive=True) if Path(f).is_file())
        if not found:
            where = path.absolute().parent if not path.is_dir() else path.absolute()
            raise SourceError(
                f"no file matches {self.path!r} (looked in {where}). Check the path or the glob."
            )
        for name in found:
            if Path(name).stat().st_size == 0:
                raise SourceError(f"{name} is empty (0 bytes). Remove it or write it again.")
        return found

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
        micros = self._micros(self.time, layout)
        row = duck.run(
            f"SELECT min({micros}), max({micros}), count({duck.quote(self.time)}) FROM {self.relation(files)}",
            reading=self.path,
        ).fetchone()
        first, last, rows = row if row else (None, None, 0)
        index = self._is_index(layout)
        return Extent(_moment(first, index), _moment(last, index), int(rows))

    def read(self, window: Window) -> pd.DataFrame:
        files = self.files()
        layout = self._layout(files)
        picked = [duck.quote(c) for c in layout.kept]
        times = [c for c in (self.time, self.label_time) if c is not None]
        picked += [f"{self._micros(c, layout)} AS {duck.quote(c)}" for c in times]
        where, values = self._where(window, layout)
        query = f"SELECT {', '.join(picked)} FROM {self.relation(files)} WHERE {where}"
        frame = duck.run(query, values, reading=self.path).df()
        index = self._is_index(layout)
        for column in times:
            frame[column] = _time_column(frame[column], index)
        return frame.sort_values(self.time, kind="stable", ignore_index=True)

    def _where(self, window: Window, layout: _Layout) -> tuple[str, list[int]]:
        name = duck.quote(self.time)
        index = self._is_index(layout)
        plain = layout.types[self.time] in INTEGERS or layout.types[self.time] in ("TIMESTAMP", "TIMESTAMPTZ")
        parts, values = [f"{name} IS NOT NULL"], []
        for bound, sign in ((window.start, ">="), (window.end, "<")):
            if bound is None:
                continue
            if isinstance(bound, datetime) == index:
                raise SchemaError(f"{self.path}: {self.time!r} and the window do not speak the same time")
            # Comparing the bare column lets DuckDB skip row groups; anything else compares microseconds.
            if index or not plain or self.tz:
                parts.append(f"{self._micros(self.time, layout)} {sign} ?")
            elif layout.types[self.time] == "TIMESTAMP":
                parts.append(f"{name} {sign} make_timestamp(?::BIGINT)")
            else:
                parts.append(f"{name} {sign} make_timestamp(?::BIGINT)::TIMESTAMPTZ")
            values.append(axis_value(bound))
        return " AND ".join(parts), values

    def _micros(self, column: str, layout: _Layout) -> str:
        """SQL for a time column as an integer: microseconds since 1970 UTC, or the index."""
        name, kind = duck.quote(column), layout.types[column]
        if kind in NUMBERS:
            return f"CAST({name} AS BIGINT)"
        if kind.startswith("TIMESTAMPTZ"):
            return f"epoch_us(CAST({name} AS TIMESTAMPTZ))"
        if kind == "VARCHAR":
            return f"epoch_us(CAST({name} AS TIMESTAMPTZ))"
        naive = f"CAST({name} AS TIMESTAMP)"
        return f"epoch_us(timezone('{self.tz}', {naive}))" if self.tz else f"epoch_us({naive})"

    def _is_index(self, layout: _Layout) -> bool:
        return layout.types[self.time] in NUMBERS

    def _layout(self, files: list[str]) -> _Layout:
        seen = tuple((f, Path(f).stat().st_size, Path(f).stat().st_mtime_ns) for f in files)
        known = self._layouts.get("last")
        if known is not None and known.print == seen:
            return known
        rows = duck.run(f"DESCRIBE SELECT * FROM {self.relation(files)}", reading=self.path).fetchall()
        types = {str(r[0]): str(r[1]).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for r in rows}
        self.require(list(types), self.path)
        self._check_times(files, types)
        kept, left_out = [], []
        for name, kind in types.items():
            if name in (self.time, self.label_time):
                continue
            why = _unreadable(kind)
            if why and name not in (self.label, self.id):
                left_out.append(f"{name} ({why})")
            else:
                kept.append(name)
        layout = _Layout(types, tuple(kept), tuple(left_out), seen)
        self._layouts["last"] = layout
        return layout

    def _check_times(self, files: list[str], types: dict[str, str]) -> None:
        for column in filter(None, (self.time, self.label_time)):
            kind, name = types[column], duck.quote(column)
            if kind in ("FLOAT", "DOUBLE"):
                bad = f"SELECT {name} FROM {self.relation(files)} WHERE {name} <> floor({name}) LIMIT 1"
                if row := duck.run(bad, reading=self.path).fetchone():
                    raise SchemaError(
                        f"{self.path}: {column!r} holds fractions ({row[0]}); a time column is a date or a whole-number index"
                    )
            elif kind == "VARCHAR":
                self._check_text_time(files, column)
            elif kind not in INTEGERS and not kind.startswith("TIMESTAMP") and kind != "DATE":
                raise SchemaError(
                    f"{self.path}: {column!r} is of type {kind}; a time column is a date or a whole-number index"
                )
        if types[self.time].startswith("TIMESTAMP"):
            self._check_one_kind(files)

    def _check_text_time(self, files: list[str], column: str) -> None:
        name = duck.quote(column)
        found = duck.run(
            f"SELECT {name} FROM {self.relation(files)} "
            f"WHERE {name} IS NOT NULL AND TRY_CAST({name} AS TIMESTAMPTZ) IS NULL LIMIT 1",
            reading=self.path,
        ).fetchone()
        if found:
            raise SchemaError(
                f"{self.path}: {column!r} holds {found[0]!r}, which is no time; "
                "write ISO 8601, e.g. 2026-03-01T12:00:00+00:00"
            )
        with_zone = f"regexp_matches({name}, '(Z|z|[+-][0-9][0-9]:?[0-9][0-9])$')"
        row = duck.run(
            f"SELECT count(*) FILTER ({with_zone}), count({name}) FROM {self.relation(files)}",
            reading=self.path,
        ).fetchone()
        aware, total = row if row else (0, 0)
        if 0 < aware < total:
            raise mixed_zones(self.path, column)

    def _check_one_kind(self, files: list[str]) -> None:
        """Files of one set may differ in their time column without DuckDB minding."""

    def describe(self) -> dict[str, Any]:
        """What the declaration says, for the revision."""
        return {"kind": type(self).__name__, "path": self.path, "time": self.time, "label": self.label,
                "label_time": self.label_time, "id": self.id, "tz": self.tz, "exclude": list(self.exclude)}  # fmt: skip


@dataclass(frozen=True, init=False)
class Parquet(_Files):
    """Rows in Parquet files: a file, a folder or a glob.

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

    def _check_one_kind(self, files: list[str]) -> None:
        if len(files) == 1:
            return
        kinds = duck.run(
            f"SELECT DISTINCT logical_type LIKE '%isAdjustedToUTC=1%' OR logical_type LIKE '%isAdjustedToUTC=true%' "
            f"FROM parquet_schema([{_listed(files)}]) WHERE name = ?",
            [self.time],
            reading=self.path,
        ).fetchall()
        if len(kinds) > 1:
            raise mixed_zones(self.path, self.time)


@dataclass(frozen=True, init=False)
class CSV(_Files):
    """Rows in CSV files with a header: a file, a folder or a glob."""

    def __init__(self, path: str | Path, *, time: str, label: str, label_time: str | None = None, id: str | None = None,
                 tz: str | None = None, exclude: Sequence[str] = ()) -> None:  # fmt: skip
        _init(self, path, time, label, label_time, id, tz, exclude)

    @property
    def kind(self) -> str:
        return "csv"

    def relation(self, files: list[str]) -> str:
        return f"read_csv([{_listed(files)}], header=true, sample_size=-1, union_by_name=true)"


def _init(source: _Files, path: str | Path, *columns: Any) -> None:
    for name, value in zip(("time", "label", "label_time", "id", "tz", "exclude"), columns, strict=True):
        object.__setattr__(source, name, value)
    object.__setattr__(source, "path", str(path))
    object.__setattr__(source, "_layouts", {})
    if "://" in str(path):
        raise DeclarationError("path", str(path), "give a path on this machine; buckets are not read yet")
    source.__post_init__()


def _unreadable(kind: str) -> str:
    if kind.startswith(("TIMESTAMP", "DATE", "TIME", "INTERVAL")):
        return "a date"
    if kind.endswith("]") or kind.startswith(
        ("STRUCT", "MAP", "UNION", "BLOB", "BIT", "JSON", "VARIANT", "GEOMETRY")
    ):
        return "a nested or binary column"
    return ""


def _listed(files: list[str]) -> str:
    return ", ".join("'" + f.replace("'", "''") + "'" for f in files)


def _moment(value: int | None, index: bool) -> Moment | None:
    if value is None or index:
        return value
    stamp: datetime = pd.Timestamp(value, unit="us", tz="UTC").to_pydatetime()
    return stamp


def _time_column(values: pd.Series, index: bool) -> pd.Series:
    if index:
        return values.astype("Int64") if values.isna().any() else values.astype("int64")
    return pd.to_datetime(values, unit="us", utc=True).dt.as_unit("us")
