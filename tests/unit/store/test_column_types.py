"""Values go in and come back; what has no honest place is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, insert, select

from rekindle.records import Kind
from rekindle.store.types import Instant, Json, MomentType, Number, RefusedValue, Whole, Words, plain

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001
TABLE = Table(
    "things",
    MetaData(),
    *(Column(kind.__name__, kind) for kind in (Instant, MomentType, Json, Words, Number, Whole)),
)


@pytest.fixture(scope="module")
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        TABLE.metadata.create_all(connection)
        yield connection
    engine.dispose()


def through(conn: Connection, kind: str, value: Any) -> Any:
    conn.execute(TABLE.delete())
    conn.execute(insert(TABLE), {kind: value})
    return conn.execute(select(TABLE.c[kind])).scalar_one()


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False, min_value=NAIVE.replace(year=2)))
def test_an_instant_comes_back_in_utc(conn: Connection, moment: datetime) -> None:
    back = through(conn, "Instant", moment)
    assert back == moment.astimezone(UTC)
    assert back.tzinfo is UTC


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=2))
def test_stored_instants_sort_as_text(pair: list[datetime]) -> None:
    texts = [moment.isoformat(timespec="microseconds") for moment in pair]
    assert (texts[0] < texts[1]) == (pair[0] < pair[1])


@pytest.mark.parametrize("kind", ["Instant", "MomentType"])
@pytest.mark.parametrize("moment", [NAIVE, pd.Timestamp("2026-01-01"), pd.NaT])
def test_a_naive_time_is_refused(conn: Connection, kind: str, moment: datetime) -> None:
    with pytest.raises(ValueError, match=r"timezone|not a time"):
        through(conn, kind, moment)


def test_pandas_times_are_times(conn: Connection) -> None:
    moment = pd.Timestamp("2026-01-01T01:00:00.123456789+01:00")
    expected = datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)
    assert through(conn, "Instant", moment) == through(conn, "MomentType", moment) == expected


@pytest.mark.parametrize("moment", [0, -5, 10**30, np.int64(7), datetime(1950, 1, 1, tzinfo=UTC), None])
def test_a_moment_is_a_time_or_an_index(conn: Connection, moment: Any) -> None:
    back = through(conn, "MomentType", moment)
    assert back == moment
    assert type(back) in (int, datetime, type(None))


@pytest.mark.parametrize("moment", ["2026-01-01", 1.5, date(2026, 1, 1)])
def test_other_things_are_no_moment(conn: Connection, moment: Any) -> None:
    with pytest.raises(ValueError, match="no moment"):
        through(conn, "MomentType", moment)


def test_json_becomes_plain() -> None:
    value = {
        "nan": math.nan,
        "inf": np.float32("inf"),
        "scalar": np.int64(3),
        "flag": np.bool_(True),
        "array": np.array([[1.0, np.nan]]),
        "series": pd.Series([1, 2]),
        "tuple": (1, Kind.MANUAL),
        "set": {"b", "a"},
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "nat": pd.NaT,
        "span": timedelta(minutes=1),
        "path": Path("a") / "b",
        "inner": MappingProxyType({1: 2, None: 3, Kind.MANUAL: 4}),
    }
    assert plain(value) == {
        "nan": None,
        "inf": None,
        "scalar": 3,
        "flag": True,
        "array": [[1.0, None]],
        "series": [1, 2],
        "tuple": [1, "manual"],
        "set": ["a", "b"],
        "time": "2026-01-01T00:00:00+00:00",
        "nat": None,
        "span": 60.0,
        "path": "a/b",
        "inner": {"1": 2, "null": 3, "manual": 4},
    }


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8)
)
def test_json_comes_back_as_plain(conn: Connection, value: Any) -> None:
    assert through(conn, "Json", {"b": value, "a": 1}) == {"a": 1, "b": plain(value)}


def test_json_refuses_what_would_not_come_back(conn: Connection) -> None:
    with pytest.raises(RefusedValue, match=r"value\['model'\]\[0\] is a object"):
        through(conn, "Json", {"model": [object()]})
    with pytest.raises(RefusedValue, match="bytes"):
        through(conn, "Json", {"raw": b"x"})


@given(st.text(st.characters()))
def test_any_text_can_be_stored(conn: Connection, words: str) -> None:
    back = through(conn, "Words", words)
    assert len(back) <= len(words)
    if words.isprintable():
        assert back == words


@pytest.mark.parametrize(
    ("words", "stored"), [("a\ud800b", "a\ufffdb"), ("a\0b", "a\ufffdb"), ("x" * 2_000_000, "x" * 2_000_000)]
)
def test_text_no_database_can_hold(conn: Connection, words: str, stored: str) -> None:
    assert through(conn, "Words", words) == stored


def test_numbers_of_numpy(conn: Connection) -> None:
    assert through(conn, "Number", np.float32(0.5)) == 0.5
    assert through(conn, "Number", math.nan) is None
    assert through(conn, "Number", -math.inf) is None
    assert through(conn, "Whole", np.int32(5)) == 5


def test_numbers_that_do_not_fit(conn: Connection) -> None:
    with pytest.raises(RefusedValue, match="64 bits"):
        through(conn, "Whole", 2**63)
    with pytest.raises(RefusedValue, match="not text"):
        through(conn, "Words", 5)


def test_an_instant_of_another_zone_sorts_with_the_rest(conn: Connection) -> None:
    east = timezone(timedelta(hours=9))
    assert through(conn, "Instant", datetime(2026, 1, 1, 9, tzinfo=east)) == datetime(2026, 1, 1, tzinfo=UTC)
