"""Time columns in files: every type there is, zones, and what cannot be trusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rekindle.data import duck
from rekindle.data.files import CSV, Parquet
from rekindle.data.source import Frame
from rekindle.errors import SchemaError, SourceError
from rekindle.records import Extent, Window

ALL = Window(None, None)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATES = ["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMPTZ", "VARCHAR"]
NUMBERS = [
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
    "FLOAT",
    "DOUBLE",
]


def parquet(path: Path, sql: str, **said: Any) -> Parquet:
    duck.run(f"COPY ({sql}) TO '{path}' (FORMAT parquet)", reading=str(path))
    return Parquet(path, **{"time": "t", "label": "y", **said})


def csv(path: Path, times: list[str], **said: Any) -> CSV:
    path.write_text("t,y\n" + "".join(f"{t},{k % 2}\n" for k, t in enumerate(times)))
    return CSV(path, **{"time": "t", "label": "y", **said})


@pytest.mark.parametrize("kind", DATES)
def test_date_types_in_parquet(tmp_path: Path, kind: str) -> None:
    hours = f"SELECT (TIMESTAMP '2026-03-01 12:00:00' + INTERVAL (i) HOUR)::{kind} AS t, 0 AS y FROM range(4) r(i)"
    source = parquet(tmp_path / "a.parquet", hours)
    assert source.extent() == Extent(NOON, NOON + timedelta(hours=3), 4)
    rows = source.read(Window(NOON + timedelta(hours=1), NOON + timedelta(hours=3)))
    assert rows["t"].tolist() == [NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    assert str(rows["t"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize("kind", NUMBERS)
def test_number_types_in_parquet(tmp_path: Path, kind: str) -> None:
    source = parquet(tmp_path / "a.parquet", f"SELECT i::{kind} AS t, 0 AS y FROM range(10) r(i)")
    assert source.extent() == Extent(0, 9, 10)
    rows = source.read(Window(2, 4))
    assert (rows["t"].tolist(), rows["t"].dtype) == ([2, 3], np.int64)


def test_days(tmp_path: Path) -> None:
    source = parquet(
        tmp_path / "a.parquet", "SELECT DATE '2026-03-01' + i::INT AS t, 0 AS y FROM range(3) r(i)"
    )
    day = datetime(2026, 3, 2, tzinfo=UTC)
    assert source.read(Window(day, day + timedelta(days=1)))["t"].tolist() == [day]


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMP_NS", "DATE", "VARCHAR"])
def test_naive_times_in_a_declared_zone(tmp_path: Path, kind: str) -> None:
    sql = f"SELECT '2026-07-01 00:00:00'::{kind} AS t, 0 AS y"
    source = parquet(tmp_path / "a.parquet", sql, tz="Europe/Berlin")
    utc = datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert source.extent().first == utc
    assert len(source.read(Window(utc, utc + timedelta(hours=1)))) == 1
    assert source.read(Window(utc + timedelta(hours=1), None)).empty


@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "VARCHAR"])
def test_aware_times_keep_their_own_zone(tmp_path: Path, kind: str) -> None:
    sql = f"SELECT '2026-03-01 13:00:00+01:00'::{kind} AS t, 0 AS y"
    assert parquet(tmp_path / "a.parquet", sql, tz="America/New_York").extent().first == NOON


def test_zones_in_a_file_and_in_memory_agree_when_the_clock_changes(tmp_path: Path) -> None:
    naive = ["2026-03-29 01:30:00", "2026-03-29 02:30:00", "2026-10-25 01:30:00", "2026-10-25 02:30:00"]
    listed = ", ".join(f"(TIMESTAMP '{t}')" for t in naive)
    source = parquet(
        tmp_path / "a.parquet", f"SELECT t, 0 AS y FROM (VALUES {listed}) v(t)", tz="Europe/Berlin"
    )
    held = Frame(pd.DataFrame({"t": naive, "y": 0}), time="t", label="y", tz="Europe/Berlin")
    assert source.read(ALL)["t"].tolist() == held.read(ALL)["t"].tolist()


@pytest.mark.parametrize(
    "times",
    [
        ["2026-03-01 12:00:00", "2026-03-01 13:00:00"],
        ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"],
        ["2026-03-01T13:00:00+01:00", "2026-03-01T08:00:00-05:00"],
        ["2026-03-01 12:00:00+00", "2026-03-01 13:00:00+00"],
        ["2026-03-01 12:00:00 UTC", "2026-03-01 13:00:00 UTC"],
    ],
)
def test_dates_in_csv(tmp_path: Path, times: list[str]) -> None:
    assert csv(tmp_path / "a.csv", times).extent() == Extent(NOON, NOON + timedelta(hours=1), 2)


@pytest.mark.parametrize("times", [["1", "2"], ["1.0", "2.0"], ["1e0", "2e0"]])
def test_an_index_in_csv(tmp_path: Path, times: list[str]) -> None:
    source = csv(tmp_path / "a.csv", times)
    assert source.extent() == Extent(1, 2, 2)
    assert source.read(Window(2, None))["t"].tolist() == [2]


@pytest.mark.parametrize(
    "times",
    [
        ["2026-03-01 12:00:00", "2026-03-01 13:00:00+00:00"],
        ["2026-03-01 12:00:00+02:00", "2026-03-01 13:00:00"],
        ["2026-03-01 12:00:00", "2026-03-01 13:00:00+00"],
        ["2026-03-01 12:00:00", "2026-03-01 13:00:00Z"],
        ["2026-03-01 12:00:00", "2026-03-01 13:00:00 UTC"],
    ],
)
def test_aware_and_naive_times_in_one_csv_column(tmp_path: Path, times: list[str]) -> None:
    with pytest.raises(
        SchemaError, match=r"a.csv: 't' mixes times with and without a time zone.*declare tz="
    ):
        csv(tmp_path / "a.csv", times).extent()


def test_times_that_say_utc_need_no_zone(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="says its zone in every value; leave tz= out"):
        csv(tmp_path / "a.csv", ["2026-03-01 12:00:00 UTC"], tz="Europe/Berlin").extent()


def test_aware_and_naive_times_across_csv_files(tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", ["2026-03-01 12:00:00", "2026-03-01 13:00:00"])
    csv(tmp_path / "b.csv", ["2026-03-02 12:00:00Z", "2026-03-02 13:00:00Z"])
    with pytest.raises(SchemaError, match="mixes times"):
        CSV(tmp_path, time="t", label="y").extent()


@pytest.mark.parametrize("column", ["time", "label_time"])
def test_aware_and_naive_times_across_parquet_files(tmp_path: Path, column: str) -> None:
    said = {"time": "t", "label": "y", "label_time": "k", column: "odd"}
    for name, kind in (("a", "TIMESTAMP"), ("b", "TIMESTAMPTZ")):
        sql = f"SELECT now() AS t, now() AS k, TIMESTAMP '2026-03-01'::{kind} AS odd, 0 AS y"
        parquet(tmp_path / f"{name}.parquet", sql)
    with pytest.raises(SchemaError, match="'odd' mixes times"):
        Parquet(tmp_path, **said).extent()


def test_aware_and_naive_text_in_parquet(tmp_path: Path) -> None:
    sql = "SELECT t, 0 AS y FROM (VALUES ('2026-03-01 12:00:00'), ('2026-03-01 12:00:00+00')) v(t)"
    with pytest.raises(SchemaError, match="'t' mixes times"):
        parquet(tmp_path / "a.parquet", sql).extent()


def test_an_index_in_one_file_and_dates_in_the_other(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", "SELECT 1 AS t, 0 AS y")
    parquet(tmp_path / "b.parquet", "SELECT now() AS t, 0 AS y")
    with pytest.raises(SourceError, match=r"cannot be read|is of type"):
        Parquet(tmp_path, time="t", label="y").extent()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1.5::DOUBLE", r"'t' holds 1.5"),
        ("'inf'::DOUBLE", "'t' holds inf"),
        ("1e300", r"beyond 2\*\*62"),
        ("9223372036854775807", r"beyond 2\*\*62"),
        ("18446744073709551615::UBIGINT", r"beyond 2\*\*62"),
        ("true", "of type BOOLEAN"),
        ("TIME '12:00'", "of type TIME"),
        ("5::DECIMAL(9, 2)", "of type DECIMAL"),
        ("'yesterday'", "'t' holds 'yesterday', which is no time; write ISO 8601"),
        ("[1]", "of type"),
        ("TIMESTAMP '290000-01-01'", "outside the years 1 to 9999"),
    ],
)
def test_what_is_no_time_is_told(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        parquet(tmp_path / "a.parquet", f"SELECT {value} AS t, 0 AS y").extent()


@pytest.mark.parametrize("value", ["NULL::BIGINT", "NULL::TIMESTAMP", "NULL", "'nan'::DOUBLE"])
def test_rows_without_a_time_are_left_out(tmp_path: Path, value: str) -> None:
    source = parquet(tmp_path / "a.parquet", f"SELECT {value} AS t, 0 AS y")
    assert source.extent() == Extent(None, None, 0)
    assert source.read(ALL).empty


def test_holes_in_an_index_leave_the_others(tmp_path: Path) -> None:
    source = csv(tmp_path / "a.csv", ["1.0", "nan", "", "4.0"])
    assert source.extent() == Extent(1, 4, 2)
    assert source.read(Window(1, 5))["t"].tolist() == [1, 4]


def test_a_label_time_of_dates_and_of_an_index(tmp_path: Path) -> None:
    sql = "SELECT i AS t, CASE WHEN i > 1 THEN i + 3 END AS k, 0 AS y FROM range(4) r(i)"
    rows = parquet(tmp_path / "a.parquet", sql, label_time="k").read(ALL)
    assert rows["k"].dropna().tolist() == [5, 6]
    sql = "SELECT now() AS t, TIMESTAMP '2026-03-01 12:00:00' AS k, 0 AS y"
    assert parquet(tmp_path / "b.parquet", sql, label_time="k").read(ALL)["k"].tolist() == [NOON]


def test_a_label_time_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="both dates or both an index"):
        parquet(tmp_path / "a.parquet", "SELECT 1 AS t, now() AS k, 0 AS y", label_time="k").extent()


@pytest.mark.parametrize("time", ["1", "now()"])
@pytest.mark.parametrize("empty", ["NULL", "NULL::VARCHAR", "NULL::DOUBLE"])
def test_a_label_time_without_any_value_fits_every_axis(tmp_path: Path, time: str, empty: str) -> None:
    source = parquet(tmp_path / "a.parquet", f"SELECT {time} AS t, {empty} AS k, 0 AS y", label_time="k")
    rows = source.read(ALL)
    assert rows["k"].isna().all()
    assert (rows["k"].dtype.kind == "M") == (rows["t"].dtype.kind == "M")


def test_a_window_on_another_axis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="do not speak the same time"):
        csv(tmp_path / "a.csv", ["1", "2"]).read(Window(NOON, None))
    with pytest.raises(SchemaError, match="do not speak the same time"):
        csv(tmp_path / "b.csv", ["2026-03-01"]).read(Window(None, 7))


def test_row_groups_outside_the_window_are_not_read(tmp_path: Path) -> None:
    """The bare column is compared, so that DuckDB can skip by its statistics."""
    source = parquet(tmp_path / "a.parquet", "SELECT now() AS t, 0 AS y")
    condition, values = source._layout(source.files()).time.bounded(NOON, None)
    assert condition.startswith('"t" IS NOT NULL AND "t" >= ')
    assert values == [int(NOON.timestamp() * 1e6)]
