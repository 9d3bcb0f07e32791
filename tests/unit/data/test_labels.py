"""What was known when: no label later than the moment, ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.data.labels import clean_label, known_at, known_rows
from rekindle.data.source import Frame
from rekindle.errors import SchemaError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCE: Any = SimpleNamespace(label="y", label_time="at")
PLAIN: Any = SimpleNamespace(label="y", label_time=None)
NAIVE = datetime.fromisoformat
DATES = st.datetimes(NAIVE("1700-01-01"), NAIVE("2250-01-01"), timezones=st.just(UTC))


def rows(at: list[Any], y: list[Any] | None = None, tz: str | None = None) -> pd.DataFrame:
    """As a source gives them: label times in UTC or as an index."""
    t = [0] * len(at) if all(isinstance(v, int) or v is None for v in at) else [NOON] * len(at)
    held = pd.array(at, dtype="Int64") if t and t[0] == 0 else at
    table = pd.DataFrame({"t": t, "at": held, "y": [1.0] * len(at) if y is None else y})
    return Frame(table, time="t", label="y", label_time="at", tz=tz).rows


def test_without_a_label_time_a_label_is_known_once_it_is_there() -> None:
    table = pd.DataFrame({"y": [1.0, np.nan, 0.0]})
    assert known_at(table, PLAIN, 0).tolist() == [True, False, True]


def test_an_aware_label_time() -> None:
    table = rows([NOON - timedelta(hours=1), NOON, NOON + timedelta(microseconds=1)])
    assert known_at(table, SOURCE, NOON).tolist() == [True, True, False]


def test_a_naive_label_time_is_read_in_the_declared_zone() -> None:
    naive = [NAIVE("2026-03-01T12:30"), NAIVE("2026-03-01T13:30")]
    table = pd.DataFrame({"t": naive, "at": naive, "y": [1.0, 1.0]})
    in_berlin = Frame(table, time="t", label="y", label_time="at", tz="Europe/Berlin").rows
    assert known_at(in_berlin, SOURCE, NOON).tolist() == [True, False]
    in_utc = Frame(table, time="t", label="y", label_time="at").rows
    assert known_at(in_utc, SOURCE, NOON).tolist() == [False, False]


def test_an_index_label_time_with_holes() -> None:
    assert known_at(rows([5, 6, None]), SOURCE, 5).tolist() == [True, False, False]


def test_a_missing_label_or_label_time_is_not_known() -> None:
    table = rows([NOON, pd.NaT, NOON], [np.nan, 1.0, 1.0])
    assert known_at(table, SOURCE, NOON).tolist() == [False, False, True]


def test_a_label_time_of_the_other_kind_is_a_schema_error() -> None:
    with pytest.raises(SchemaError, match=r"label time 'at' must be of the same kind"):
        known_at(rows([1, 2]), SOURCE, NOON)


def test_a_label_time_without_any_value_fits_every_axis() -> None:
    for axis in ([1, 2], [NOON, NOON]):
        table = pd.DataFrame({"t": axis, "at": [None, None], "y": [1, 1]})
        held = Frame(table, time="t", label="y", label_time="at").rows
        assert known_at(held, SOURCE, axis[0]).tolist() == [False, False]


def test_a_label_time_of_another_kind_than_the_time_is_refused() -> None:
    table = pd.DataFrame({"t": [1, 2], "at": [NOON, NOON], "y": [1, 1]})
    with pytest.raises(SchemaError, match="both dates or both an index"):
        Frame(table, time="t", label="y", label_time="at")


def test_no_rows() -> None:
    assert known_at(rows([NOON]).iloc[:0], SOURCE, NOON).tolist() == []


@given(
    st.lists(st.tuples(st.one_of(st.none(), DATES), st.one_of(st.none(), st.floats(0, 1))), max_size=30),
    DATES,
)
def test_no_date_later_than_the_moment_is_ever_known(drawn: list[tuple[Any, Any]], moment: datetime) -> None:
    table = rows([NOON, *(at for at, _ in drawn)], [None, *(y for _, y in drawn)])
    known = known_at(table, SOURCE, moment)
    for there, (_, row) in zip(known, table.iterrows(), strict=True):
        expected = pd.notna(row["y"]) and pd.notna(row["at"]) and row["at"] <= moment
        assert there == expected
    hidden = known_rows(table, SOURCE, moment)
    assert hidden.loc[~known, "y"].isna().all()
    assert hidden.loc[known, "y"].tolist() == table.loc[known, "y"].tolist()


@given(
    st.lists(st.one_of(st.none(), st.integers(-(2**61), 2**61)), max_size=30), st.integers(-(2**61), 2**61)
)
def test_no_index_later_than_the_moment_is_ever_known(drawn: list[int | None], moment: int) -> None:
    known = known_at(rows([0, *drawn]), SOURCE, moment)
    assert known.tolist() == [moment >= 0, *(at is not None and at <= moment for at in drawn)]


def test_hiding_labels_leaves_the_callers_rows_alone() -> None:
    table = rows([1, 9])
    known_rows(table, SOURCE, 5)
    assert table["y"].notna().all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1.0, 0.0]), [1, 0]),
        (pd.Series([1, 0], dtype="Int64"), [1, 0]),
        (pd.Series([1.5, 0.0]), [1.5, 0.0]),
        (pd.Series([True, False]), [True, False]),
        (pd.Series([True, False], dtype="boolean"), [True, False]),
        (pd.Series([True, False], dtype=object), [True, False]),
        (pd.Series(["a", "b"]), ["a", "b"]),
        (pd.Series(["a", 1], dtype=object), ["a", "1"]),
    ],
)
def test_labels_of_classes(values: pd.Series, expected: list[Any]) -> None:
    clean = clean_label(values, "classification")
    assert clean.tolist() == expected
    assert [type(v) for v in clean.tolist()] == [type(v) for v in expected]


def test_labels_of_numbers_are_floats() -> None:
    assert clean_label(pd.Series([1, 2]), "regression").dtype == np.float64
