"""Rows in memory: any table, any way to write a time, nothing lost without a word."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

from rekindle.data.source import Frame, _converted_column
from rekindle.errors import DeclarationError, SchemaError
from rekindle.records import Extent, Window

NAIVE = datetime.fromisoformat
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = Window(None, None)


def table(times: Any, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"t": times, "x": range(len(times)), "y": 0, **columns})


def frame(times: Any, **said: Any) -> Frame:
    return Frame(table(times), time="t", label="y", **said)


@pytest.mark.parametrize(
    "times",
    [
        [NOON, NOON + timedelta(hours=1)],
        [NAIVE("2026-03-01T12:00"), NAIVE("2026-03-01T13:00")],
        ["2026-03-01T12:00:00Z", "2026-03-01T14:00:00+01:00"],
        ["2026-03-01 12:00:00+00", "2026-03-01 13:00:00+00"],
        ["2026-03-01 12:00", "2026-03-01T13:00:00.000"],
        np.array(["2026-03-01T12:00", "2026-03-01T13:00"], dtype="datetime64[s]"),
        pd.Categorical(["2026-03-01T12:00", "2026-03-01T13:00"]),
    ],
)
def test_times_become_utc(times: Any) -> None:
    source = frame(times)
    assert source.extent() == Extent(NOON, NOON + timedelta(hours=1), 2)
    assert str(source.read(ALL)["t"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    "times", [[1, 2], [1.0, 2.0], np.array([1, 2], dtype=object), np.array([1, 2], dtype="uint8"),
              pd.array([1, 2], dtype="Int64"), pd.Categorical([1, 2])]
)  # fmt: skip
def test_an_index(times: Any) -> None:
    source = frame(times)
    assert source.extent() == Extent(1, 2, 2)
    assert source.read(ALL)["t"].dtype == np.int64


def test_dates_without_a_time_of_day() -> None:
    assert frame([date(2026, 3, 1)]).extent().first == datetime(2026, 3, 1, tzinfo=UTC)
    assert frame(["2026-03-01"]).extent().first == datetime(2026, 3, 1, tzinfo=UTC)


def test_naive_times_in_a_declared_zone_lose_no_row_when_the_clock_changes() -> None:
    autumn = ["2026-10-25T01:30", "2026-10-25T02:30", "2026-10-25T03:30"]
    source = frame(autumn, tz="Europe/Berlin")
    assert source.rows["t"].dt.hour.tolist() == [23, 1, 2]
    spring = ["2026-03-29T01:30", "2026-03-29T02:30", "2026-03-29T03:30"]
    assert frame(spring, tz="Europe/Berlin").rows["t"].dt.hour.tolist() == [0, 1, 1]


def test_aware_times_keep_their_own_zone() -> None:
    assert frame([NOON], tz="Europe/Berlin").extent().first == NOON


@pytest.mark.parametrize(
    "times",
    [
        ["2026-03-01T12:00:00", "2026-03-01T12:00:00Z"],
        ["2026-03-01 12:00:00", "2026-03-01 12:00:00+00"],
        np.array([NOON, NAIVE("2026-03-01T12:00")], dtype=object),
    ],
)
def test_aware_and_naive_times_in_one_column(times: Any) -> None:
    with pytest.raises(SchemaError, match=r"'t' mixes times with and without a time zone.*declare tz="):
        frame(times)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([1.0, 2.5], r"holds 2.5"),
        ([1.0, np.inf], r"holds inf"),
        ([1.0, 1e300], r"beyond 2\*\*62"),
        (np.array([1, 2**63 + 5], dtype="uint64"), r"beyond 2\*\*62"),
        (np.array([1, 2**70], dtype=object), r"beyond 2\*\*62"),
        ([True, False], "of type bool"),
        (["2026-03-01", "yesterday"], "no time"),
        (np.array(["2026-03-01", 5], dtype=object), "holds 5"),
        (np.array([[1], [2], None], dtype=object), r"holds \[1\]"),
        (pd.to_timedelta([1, 2], unit="h"), "of type timedelta"),
        (pd.period_range("2026-01", periods=2, freq="M"), "of type period"),
        (["0001-01-01T00:00:00+05:00"], "outside the years 1 to 9999"),
        (["0001-01-01"], "outside the years 1 to 9999"),
    ],
)
def test_what_is_no_time_is_told(times: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=rf"the frame: 't' .*{said}"):
        frame(times)


def test_rows_without_a_time_are_left_out_and_do_not_count() -> None:
    assert frame(pd.array([3, None, 1], dtype="Int64")).read(ALL)["t"].tolist() == [1, 3]
    assert frame([NOON, None]).extent().rows == 1
    assert frame([None, None]).extent() == Extent(None, None, 0)
    assert frame([]).extent() == Extent(None, None, 0)


def test_unsorted_rows_come_in_time_order_and_equal_times_in_theirs() -> None:
    source = Frame(table([3, 1, 2, 1]), time="t", label="y")
    assert source.read(ALL)[["t", "x"]].to_numpy().tolist() == [[1, 1], [1, 3], [2, 2], [3, 0]]


def test_windows_take_their_start_and_not_their_end() -> None:
    source = frame(range(10))
    assert source.read(Window(3, 5))["t"].tolist() == [3, 4]
    assert source.read(Window(None, 2))["t"].tolist() == [0, 1]
    assert source.read(Window(8, None))["t"].tolist() == [8, 9]
    assert source.read(Window(20, 30)).empty
    dates = frame([NOON, NOON + timedelta(microseconds=1)])
    assert len(dates.read(Window(NOON, NOON + timedelta(microseconds=1)))) == 1


def test_a_window_on_another_axis_is_refused() -> None:
    with pytest.raises(SchemaError, match="do not speak the same time"):
        frame([1]).read(Window(NOON, None))
    with pytest.raises(SchemaError, match="do not speak the same time"):
        frame([NOON]).read(Window(None, 5))


def test_a_wrong_column_is_named_with_the_nearest() -> None:
    with pytest.raises(SchemaError, match=r"no column 'lable' \(declared as label\). Did you mean 'label'"):
        Frame(pd.DataFrame({"t": [1], "label": [0]}), time="t", label="lable")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"label": "t"}, "label"),
        ({"id": "y"}, "label"),
        ({"exclude": "x"}, "exclude"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"tz": 5}, "tz"),
        ({"label_time": 5}, "label_time"),
        ({"time": None}, "time"),
        ({"time": ""}, "time"),
    ],
)
def test_a_wrong_declaration_is_refused(said: dict[str, Any], field: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        Frame(table([1]), **{"time": "t", "label": "y", **said})
    assert raised.value.field == field


@pytest.mark.parametrize("rows", [{"t": [1]}, [1, 2], None, np.zeros((2, 2))])
def test_what_is_no_table_is_refused(rows: Any) -> None:
    with pytest.raises(DeclarationError, match="pandas, polars or Arrow"):
        Frame(rows, time="t", label="y")


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pd.DataFrame([[1, 0, 2, 3]], columns=["t", "y", "x", "x"])
    with pytest.raises(SchemaError, match="two columns named 'x'"):
        Frame(twice, time="t", label="y")


def test_columns_named_by_numbers_are_named_by_text() -> None:
    numbered = pd.DataFrame([[1, 0, 2.0]], columns=["t", "y", 7])
    assert list(Frame(numbered, time="t", label="y").read(ALL).columns) == ["t", "y", "7"]


def test_other_dates_are_left_out_aloud() -> None:
    source = Frame(table([1], born=[NOON]), time="t", label="y")
    assert source.left_out == ("born (a date)",)  # type: ignore[attr-defined]
    assert "born" not in source.read(ALL).columns


def test_the_callers_table_is_not_touched() -> None:
    mine = table(["2026-03-02", "2026-03-01"], born=[NOON, NOON])
    before = mine.copy()
    Frame(mine, time="t", label="y").read(ALL)
    pd.testing.assert_frame_equal(mine, before)


def test_a_table_of_another_library_is_converted_column_by_column() -> None:
    """As polars without pyarrow: what narwhals gives of each column is enough."""
    given = nw.from_native(
        pd.DataFrame(
            {
                "n": pd.array([2**60 + 1, None], dtype="Int64"),
                "x": [1.5, np.nan],
                "s": ["a", None],
                "b": [True, False],
            }
        ),
        eager_only=True,
    )
    made = pd.DataFrame({c: _converted_column(given[c]) for c in given.columns})
    assert made["n"].iloc[0] == 2**60 + 1
    assert made["n"].isna().tolist() == [False, True]
    assert made["s"].isna().tolist() == [False, True]
    assert made["b"].tolist() == [True, False]


def test_polars_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    polars = pytest.importorskip("polars")
    given = polars.DataFrame(
        {
            "t": [NOON + timedelta(hours=1), NOON],
            "n": [2**60 + 1, None],
            "s": ["a", None],
            "b": [True, None],
            "y": [0, 1],
        }
    ).with_columns(known_at=polars.col("t").dt.convert_time_zone("Europe/Berlin"))

    def no_pyarrow(*_: Any) -> None:
        raise ModuleNotFoundError("No module named 'pyarrow'")

    monkeypatch.setattr(polars.DataFrame, "to_pandas", no_pyarrow)
    rows = Frame(given, time="t", label="y", label_time="known_at").read(ALL)
    assert rows["t"].tolist() == [NOON, NOON + timedelta(hours=1)]
    assert rows["known_at"].tolist() == rows["t"].tolist()
    assert rows["n"].iloc[1] == 2**60 + 1
    assert rows["y"].tolist() == [1, 0]


def test_it_describes_its_columns_not_its_rows() -> None:
    said = frame([1]).describe()
    assert said["columns"] == ["t", "x", "y"]
    assert said == frame([1, 2]).describe()
