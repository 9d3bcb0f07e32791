"""Column types: what Python values become in a row, and what comes back."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Double, Text
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeDecorator, TypeEngine

from rekindle.records import Moment

__all__ = ["Instant", "Json", "MomentType", "Number", "RefusedValue", "Whole", "Words", "plain", "utc"]


class RefusedValue(DontWrapMixin, ValueError):
    """A value that has no honest place in the database; SQLAlchemy passes it on as it is."""


def utc(moment: datetime) -> datetime:
    """The same moment as a plain datetime in UTC; a naive one is refused.

    >>> utc(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-01T00:00:00+00:00'
    """
    if not isinstance(moment, datetime) or moment != moment:  # pandas' NaT is a datetime that equals nothing
        raise RefusedValue(f"{moment!r} is not a time; pass an aware datetime")
    if moment.utcoffset() is None:
        raise RefusedValue(f"{moment!r} has no timezone; pass datetime(..., tzinfo=UTC)")
    if type(moment) is datetime:
        return moment.astimezone(UTC)
    # pandas' Timestamp is a datetime that drivers do not know
    return datetime.fromisoformat(moment.isoformat(timespec="microseconds")).astimezone(UTC)


def plain(value: Any, where: str = "value") -> Any:
    """The value in plain JSON: numpy scalars and arrays as numbers and lists, NaN and infinity as None.

    Raises RefusedValue naming the place for anything that would not come back from JSON, so that a caller can
    tell which plug-in sent it.

    >>> plain({"share": float("nan"), "names": ("a", "b")})
    {'share': None, 'names': ['a', 'b']}
    """
    if value is None or (isinstance(value, (bool, int, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Enum):
        return plain(value.value, where)
    if isinstance(value, Mapping):
        return {_key(key): plain(inner, f"{where}[{key!r}]") for key, inner in value.items()}
    if isinstance(value, (date, timedelta, PurePath)):
        return _text(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, pandas series, without importing either
        listed = value.tolist()
        if type(listed) is not type(value):
            return plain(listed, where)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        inners = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(inner, f"{where}[{index}]") for index, inner in enumerate(inners)]
    raise RefusedValue(
        f"{where} is a {type(value).__name__}; use plain JSON values (numbers, text, lists, dicts)"
    )


def _text(value: date | timedelta | PurePath) -> str | float | None:
    if value != value:  # NaT
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, date) else str(value)


def _key(key: Any) -> str:
    bare = plain(key.value if isinstance(key, Enum) else key, "a key")
    return bare if isinstance(bare, str) else json.dumps(bare)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time. SQLite keeps ISO text with microseconds, which sorts; PostgreSQL its own type."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        moment = utc(value)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


class MomentType(TypeDecorator[Moment]):
    """A point on a loop's own axis, as text: "t:" and an ISO time, or "i:" and an index."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Moment | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return f"t:{utc(value).isoformat(timespec='microseconds')}"
        try:
            return f"i:{operator.index(value)}"
        except TypeError:
            raise RefusedValue(f"{value!r} is no moment; pass an aware datetime or an int") from None

    def process_result_value(self, value: str | None, dialect: Dialect) -> Moment | None:
        if value is None:
            return None
        return int(value[2:]) if value.startswith("i:") else datetime.fromisoformat(value[2:])


class Json(TypeDecorator[Any]):
    """Plain JSON with sorted keys, as text; see `plain` for what is turned into what."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return json.dumps(value, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError):  # something that is not plain yet: take the slow road
            return json.dumps(plain(value), sort_keys=True, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Words(TypeDecorator[str]):
    """Text of any length. What no database can hold (lone surrogates, NUL) becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise RefusedValue(f"{value!r} is not text")
        text = str(value)
        if not text.isascii():
            # file names and the output of child processes carry surrogates
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.replace("\0", "\ufffd")


class Number(TypeDecorator[float]):
    """A float, numpy's too. NaN and infinity become NULL, as a database compares neither."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        number = None if value is None else float(value)
        return number if number is not None and math.isfinite(number) else None


class Whole(TypeDecorator[int]):
    """A 64-bit integer, numpy's too."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        whole = operator.index(value)
        if not -(2**63) <= whole < 2**63:
            raise RefusedValue(f"{whole} does not fit into 64 bits")
        return whole
