"""Cutting a time axis into batches: borders at midnight and Monday, index units, equal batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.data.cadence import (
    Edges,
    Period,
    axis_value,
    axis_values,
    equal_batches,
    moment_json,
    moment_of,
)
from rekindle.errors import DeclarationError, SchemaError

DAY = timedelta(days=1)
NAIVE = datetime.fromisoformat
MOMENTS = st.datetimes(NAIVE("1900-01-01"), NAIVE("2200-01-01"), timezones=st.just(UTC))


def test_whole_days_begin_at_midnight_utc() -> None:
    period = Period.aligned(DAY, datetime(2026, 3, 4, 15, 30, tzinfo=UTC))
    assert period.span(0).start == datetime(2026, 3, 4, tzinfo=UTC)
    assert period.span(2).end == datetime(2026, 3, 7, tzinfo=UTC)


def test_whole_weeks_begin_on_a_monday() -> None:
    start = Period.aligned(7 * DAY, datetime(2026, 3, 4, 15, 30, tzinfo=UTC)).span(0).start
    assert start == datetime(2026, 3, 2, tzinfo=UTC)
    assert start.weekday() == 0


@given(MOMENTS, st.timedeltas(timedelta(seconds=1), timedelta(days=400)))
def test_the_first_row_lies_in_batch_0(first: datetime, length: timedelta) -> None:
    period = Period.aligned(length, first)
    span = period.span(0)
    assert span.start <= first < span.end
    assert period.numbers(pd.Series([first])).tolist() == [0]


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), st.lists(st.integers(-(10**12), 10**12)))
def test_index_units(origin: int, length: int, times: list[int]) -> None:
    period = Period.aligned(length, origin)
    numbers = period.numbers(pd.Series(times, dtype="int64"))
    for time, number in zip(times, numbers, strict=True):
        span = period.span(int(number))
        assert axis_value(span.start) <= time < axis_value(span.end)


def test_a_time_on_the_border_belongs_to_the_later_batch() -> None:
    period = Period.aligned(10, 0)
    assert period.numbers(pd.Series([9, 10, 19, 20])).tolist() == [0, 1, 1, 2]


def test_the_newest_complete_batch_ends_by_now() -> None:
    period = Period.aligned(DAY, datetime(2026, 3, 1, 5, tzinfo=UTC))
    assert period.newest_complete(datetime(2026, 3, 1, 23, 59, tzinfo=UTC)) == -1
    assert period.newest_complete(datetime(2026, 3, 2, tzinfo=UTC)) == 0
    assert period.newest_complete(datetime(2020, 1, 1, tzinfo=UTC)) == -1


def test_a_span_on_an_index_is_refused_and_units_on_dates() -> None:
    with pytest.raises(DeclarationError, match=r"every=.*index units"):
        Period.aligned(DAY, 0)
    with pytest.raises(DeclarationError, match=r"every=10.*'1d'"):
        Period.aligned(10, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_first_time_too_near_to_year_1_is_told_so() -> None:
    with pytest.raises(SchemaError, match="year 1"):
        Period.aligned(timedelta(days=1000), datetime(1, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_axis_values_are_microseconds_whatever_the_unit(unit: str) -> None:
    times = pd.Series(pd.to_datetime(["2026-03-01T12:00:00"], utc=True)).dt.as_unit(unit)
    assert axis_values(times).tolist() == [axis_value(datetime(2026, 3, 1, 12, tzinfo=UTC))]


def test_given_borders() -> None:
    edges = Edges((0, 10, 25))
    assert len(edges) == 2
    assert (edges.span(1).start, edges.span(1).end) == (10, 25)
    assert edges.numbers(pd.Series([-1, 0, 9, 10, 24, 25])).tolist() == [-1, 0, 0, 1, 1, 2]
    assert [edges.newest_complete(m) for m in (9, 10, 24, 25, 99)] == [-1, 0, 0, 1, 1]


@given(st.lists(st.integers(0, 400), min_size=60, max_size=300), st.integers(2, 8))
def test_equal_batches_keep_rows_of_one_time_together(values: list[int], batches: int) -> None:
    times = pd.Series(sorted(values))
    try:
        edges = equal_batches(times, batches)
    except DeclarationError:
        assert times.value_counts().max() > len(times) / batches / 2 or times.nunique() < batches
        return
    numbers = edges.numbers(times)
    assert len(edges) == batches
    assert set(numbers) == set(range(batches))
    assert (np.diff(numbers) >= 0).all()
    assert pd.Series(numbers).groupby(times.to_numpy()).nunique().max() == 1


def test_equal_batches_of_distinct_times_hold_the_same_rows() -> None:
    times = pd.Series(pd.date_range("2026-01-01", periods=480, freq="h", tz="UTC"))
    edges = equal_batches(times, 48)
    assert np.bincount(edges.numbers(times)).tolist() == [10] * 48
    assert edges.span(47).end > times.iloc[-1]


def test_too_few_rows_or_times_make_no_batches() -> None:
    with pytest.raises(DeclarationError, match="batches=48"):
        equal_batches(pd.Series(range(50)), 48)
    with pytest.raises(DeclarationError, match="distinct times"):
        equal_batches(pd.Series([1] * 500), 12)
    with pytest.raises(DeclarationError, match="share one time"):
        equal_batches(pd.Series([*range(12), *[12] * 500]), 12)


@given(st.one_of(st.none(), st.integers(), MOMENTS))
def test_moments_survive_json(moment: datetime | int | None) -> None:
    assert moment_of(moment_json(moment)) == moment
