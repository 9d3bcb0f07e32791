"""Time columns in files: what kind they are of, whether they can be trusted, and their SQL as integers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rekindle.data import duck
from rekindle.data.cadence import axis_value
from rekindle.data.times import AWARE, MOST, WANTED, mixed_zones
from rekindle.errors import SchemaError

if TYPE_CHECKING:
    from rekindle.records import Moment

__all__ = ["TimeColumn", "blank", "every_zoned", "examine"]

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
FLOATS = ("FLOAT", "DOUBLE")
NUMBERS = (*INTEGERS, "HUGEINT", "UHUGEINT", *FLOATS)
SMALL = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
DATES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE", "TIMESTAMPTZ", "TIMESTAMPTZ_NS")
ZONED = ("TIMESTAMPTZ", "TIMESTAMPTZ_NS")


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """One time column of a set of files."""

    name: str  # column name
    kind: str  # DuckDB type
    zoned: bool  # does each value carry its offset
    tz: str | None  # zone of naive values
    blank: bool = False  # no value at all: it fits any axis

    @property
    def index(self) -> bool:
        """A whole-number index, not a date."""
        return self.kind in NUMBERS

    @property
    def micros(self) -> str:
        """SQL for the value as an integer: microseconds since 1970 UTC, or the index."""
        name = duck.quote(self.name)
        if self.blank:
            return "CAST(NULL AS BIGINT)"
        if self.kind in FLOATS:
            return f"CAST(CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS BIGINT)"
        if self.index:
            return f"CAST({name} AS BIGINT)"
        if self.zoned:
            return f"epoch_us(CAST({name} AS TIMESTAMPTZ))"
        naive = f"CAST({name} AS TIMESTAMP)"
        return f"epoch_us(timezone('{self.tz}', {naive}))" if self.tz else f"epoch_us({naive})"

    def bounded(self, start: Moment | None, end: Moment | None) -> tuple[str, list[int]]:
        """SQL condition and values for start <= t < end; a missing time is never within."""
        name = duck.quote(self.name)
        parts, values = [f"{name} IS NOT NULL"], []
        if self.kind in FLOATS:
            parts.append(f"NOT isnan({name})")
        for bound, sign in ((start, ">="), (end, "<")):
            if bound is None:
                continue
            if isinstance(bound, datetime) == self.index:
                raise SchemaError(f"{self.name!r} and the asked window do not speak the same time")
            # Comparing the bare column lets DuckDB skip row groups; anything else compares microseconds.
            if self.kind == "TIMESTAMP" and self.tz is None:
                parts.append(f"{name} {sign} make_timestamp(?::BIGINT)")
            elif self.kind == "TIMESTAMPTZ":
                parts.append(f"{name} {sign} make_timestamp(?::BIGINT)::TIMESTAMPTZ")
            else:
                parts.append(f"{self.micros} {sign} ?")
            values.append(axis_value(bound))
        return " AND ".join(parts), values


def examine(relation: str, name: str, kind: str, tz: str | None, where: str) -> TimeColumn:
    """Look at a column once. Raises SchemaError for what is no time, out of range, or mixed."""
    if kind in NUMBERS:
        if kind not in SMALL:
            _check_index(relation, name, kind, where)
        return TimeColumn(name, kind, False, tz)
    if kind in DATES:
        return TimeColumn(name, kind, kind in ZONED, tz)
    if kind == "VARCHAR":
        return TimeColumn(name, kind, _text_is_zoned(relation, name, where), tz)
    if kind == '"NULL"':
        return TimeColumn(name, "INTEGER", False, tz)
    raise SchemaError(f"{where}: {name!r} is of type {kind}; {WANTED}")


def blank(relation: str, name: str, where: str) -> bool:
    """Has the column no value at all?"""
    row = duck.run(f"SELECT count({duck.quote(name)}) FROM {relation}", reading=where).fetchone()
    return not row or row[0] == 0


def _check_index(relation: str, name: str, kind: str, where: str) -> None:
    column = duck.quote(name)
    if kind in FLOATS:
        bad = f"NOT isnan({column}) AND (isinf({column}) OR {column} <> floor({column}))"
        found = duck.run(f"SELECT {column} FROM {relation} WHERE {bad} LIMIT 1", reading=where).fetchone()
        if found:
            raise SchemaError(f"{where}: {name!r} holds {found[0]}; {WANTED}")
    far = f"{column} > {MOST} OR {column} < -{MOST}"
    if kind in FLOATS:
        far = f"NOT isnan({column}) AND ({far})"
    if duck.run(f"SELECT 1 FROM {relation} WHERE {far} LIMIT 1", reading=where).fetchone():
        raise SchemaError(f"{where}: {name!r} holds an index beyond 2**62; count from nearer to 0")


def _text_is_zoned(relation: str, name: str, where: str) -> bool:
    column = duck.quote(name)
    found = duck.run(
        f"SELECT {column} FROM {relation} "
        f"WHERE {column} IS NOT NULL AND TRY_CAST({column} AS TIMESTAMPTZ) IS NULL LIMIT 1",
        reading=where,
    ).fetchone()
    if found:
        raise SchemaError(
            f"{where}: {name!r} holds {found[0]!r}, which is no time; "
            "write ISO 8601, e.g. 2026-03-01T12:00:00+00:00"
        )
    return every_zoned(relation, name, where)


def every_zoned(relation: str, name: str, where: str) -> bool:
    """Do the texts of this column carry an offset? Raises SchemaError when only some do."""
    column = duck.quote(name)
    row = duck.run(
        f"SELECT count(*) FILTER (regexp_matches(trim({column}), ?)), count({column}) FROM {relation}",
        [AWARE],
        reading=where,
    ).fetchone()
    aware, total = row if row else (0, 0)
    if 0 < aware < total:
        raise mixed_zones(where, name)
    return bool(aware)
