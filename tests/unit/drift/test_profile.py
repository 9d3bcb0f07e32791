"""Grids: nothing vanishes, every type is counted, counts add up, and the pitfalls of drift in practice."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rekindle.drift import Grid, psi
from rekindle.errors import DeclarationError

ANY_FLOAT = st.floats(width=64) | st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324])
LEVEL = st.none() | st.text(max_size=3) | st.sampled_from(["a", "b", float("nan")])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_edges_are_numpy_percentiles_to_the_last_bit(rng):
    values = rng.gamma(2.0, size=9_973)
    grid = Grid.fit(values, bins=10)
    assert grid.kind == "bins"
    np.testing.assert_array_equal(grid.edges, np.percentile(values, np.linspace(0, 100, 11))[1:-1])


def test_counts_equal_numpy_histogram_inside_the_reference_range(rng):
    values, window = rng.normal(size=5_000), rng.uniform(-1, 1, 2_000)
    edges = np.percentile(values, np.linspace(0, 100, 11))
    expected = np.histogram(window, edges)[0]
    np.testing.assert_array_equal(Grid.fit(values).count(window)[:-1], expected)


def test_values_outside_the_training_bins_are_counted_in_the_outer_ones(rng):
    counts = Grid.fit(rng.normal(size=1_000)).count([-1e300, 1e300, -np.inf, np.inf, np.inf, np.nan])
    assert (counts[0], counts[-2], counts[-1], counts.sum()) == (2, 3, 1, 6)


@pytest.mark.parametrize("bins", [2, 10, 50])
def test_counting_by_sort_and_by_comparison_agree(rng, bins):
    values, window = rng.normal(size=3_000).round(2), rng.normal(size=70_000).round(2)
    window[:50] = np.nan
    grid = Grid.fit(values, bins)
    edges = np.concatenate([[-np.inf], grid.edges, [np.inf]])
    expected = [np.sum((window >= a) & (window < b)) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(grid.count(window), [*expected, 50])


def test_a_column_of_few_values_is_taken_value_by_value(rng):
    grid = Grid.fit(rng.integers(0, 5, 500))
    assert (grid.kind, grid.edges.tolist()) == ("values", [0, 1, 2, 3, 4])
    assert grid.count([0, 0, 4, 7, 2.5, -1, np.nan]).tolist() == [2, 0, 0, 0, 1, 0, 3, 1]


def test_twenty_distinct_values_are_few_and_twenty_one_are_not():
    assert Grid.fit(np.tile(np.arange(20), 5)).kind == "values"
    assert Grid.fit(np.tile(np.arange(21), 5)).kind == "bins"


def test_a_handful_of_distinct_rows_is_not_taken_for_categories(rng):
    assert Grid.fit(rng.normal(size=15)).kind == "bins"


def test_a_heavy_value_gets_a_bin_of_its_own(rng):
    """60 % zeros, the rest positive: without an edge just above 0 a shift of the zeros cannot be seen."""
    values = np.where(rng.random(4_000) < 0.6, 0.0, rng.gamma(2.0, size=4_000))
    grid = Grid.fit(values)
    assert {0.0, float(np.nextafter(0.0, 1.0))} <= set(grid.edges.tolist())
    assert psi(values, np.where(values == 0, 1e-9, values)) > 1.0


def test_a_constant_reference_sees_any_other_value():
    ones = np.ones(1_000)
    assert psi(ones, ones) == 0.0
    assert psi(ones, np.full(1_000, 2.0)) > 1.0  # deciles alone say 0.0
    assert psi(ones, np.concatenate([np.ones(500), np.zeros(500)])) == pytest.approx(9.2, abs=0.1)


def test_a_short_constant_reference_sees_it_too():
    assert psi([1.0], [2.0]) > 1.0


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([True, False, None, True], id="object-bool"),
        pytest.param(pd.Series([True, False, None, True], dtype="boolean"), id="nullable-boolean"),
        pytest.param(pd.Series([1, 0, None, 1], dtype="Int64"), id="nullable-int"),
        pytest.param(pd.Series([1.0, 0.0, None, 1.0], dtype="Float64"), id="nullable-float"),
        pytest.param(pd.Series([1, 0, None, 1], dtype="float32"), id="float32"),
        pytest.param([Decimal(1), Decimal(0), None, Decimal(1)], id="decimal"),
        pytest.param([np.int8(1), 0.0, float("nan"), True], id="mixed-numbers"),
    ],
)
def test_numbers_and_bools_of_every_type_meet_on_one_grid(values):
    grid = Grid.fit(np.array([True, False] * 50))
    assert grid.kind == "values"
    assert grid.count(values).tolist() == [1, 2, 0, 0, 1]


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_levels_of_every_type_meet_on_one_grid(dtype):
    grid = Grid.fit(np.array(["a"] * 60 + ["b"] * 40))
    window = pd.Series(["b", "b", "new", None, "a"], dtype=dtype)
    assert grid.levels == ("a", "b")
    assert grid.count(window).tolist() == [1, 2, 0, 1, 1]
    assert Grid.fit(pd.Series(["a"] * 60 + ["b"] * 40, dtype=dtype)).counts.tolist() == [60, 40, 0, 0, 0]


def test_codes_written_as_text_are_no_numbers():
    assert Grid.fit(np.array(["1", "2"] * 50, dtype=object)).kind == "levels"
    assert Grid.fit(pd.Series([1, 2] * 50, dtype="category")).kind == "levels"


def test_numbers_are_named_alike_in_levels():
    grid = Grid.fit(np.array(["1", "2", "x"] * 50, dtype=object))
    for one_type in ([1, 2, 2, 7], [1.0, 2.0, np.float32(2), 7.0], ["1", "2", 2, 7]):
        assert grid.count(one_type).tolist() == [1, 2, 0, 0, 1, 0]


def test_at_most_250_levels_have_a_cell():
    levels = [f"id{i}" for i in range(1_000) for _ in range(2 if i < 250 else 1)]
    grid = Grid.fit(levels)
    assert len(grid.levels) == 250
    assert grid.counts[-3] == 750
    assert grid.count(["id0", "id999", "never seen", None])[-3:].tolist() == [2, 0, 1]


def test_a_million_distinct_categories_pass():
    grid = Grid.fit(np.arange(1_000_000).astype("U7"))
    assert grid.counts.sum() == 1_000_000
    assert len(grid.counts) == 253


def test_rare_levels_do_not_alarm_without_drift(rng):
    """600 rows of 200 levels: level by level the floor for empty cells alone makes the index larger than 0.25."""
    names = np.array([f"l{i}" for i in range(200)])
    reference, window = names[rng.integers(0, 200, 5_000)], names[rng.integers(0, 200, 600)]
    grid = Grid.fit(reference)
    counts = grid.count(window)
    p, q = np.maximum(grid.counts[:-1] / 5_000, 1e-8), np.maximum(counts[:-1] / 600, 1e-8)
    assert np.sum((q - p) * np.log(q / p)) > 0.25
    assert psi(reference, window) < 0.1


def test_identifiers_do_not_alarm():
    assert psi([f"id{i}" for i in range(2_000)], [f"id{i}" for i in range(5_000, 6_000)]) < 0.1


def test_whole_numbers_beyond_2_to_the_53_do_not_crash(rng):
    big = rng.integers(2**60, 2**62, 2_000)
    assert psi(big, big) == 0.0
    assert psi(big, big // 1_000) > 1.0
    assert psi(np.array([2**80, -(2**80), 10**400, 5] * 50, dtype=object), [10**400]) > 1.0


def test_infinite_values_are_counted_not_dropped(rng):
    values = rng.normal(size=5_000)
    window = values.copy()
    window[: len(window) // 2] = np.inf
    assert psi(values, window) > 0.5
    assert Grid.fit(window).counts.sum() == 5_000


def test_a_reference_without_a_value_is_said_not_scored():
    for empty in ([], [None, None], [np.nan] * 9, pd.Series([None] * 3, dtype="str")):
        assert psi(empty, [1.0, 2.0]).insufficient == "no value in the reference sample"


@pytest.mark.parametrize("window", [[], [np.nan] * 50, [None] * 50, ["not", "a", "number"]])
def test_a_window_without_a_value_is_said_not_scored(rng, window):
    result = psi(rng.normal(size=1_000), window)
    assert result.insufficient == "no value in the current sample"
    assert result == 0.0


def test_what_is_no_number_counts_as_missing_in_a_grid_of_numbers(rng):
    grid = Grid.fit(rng.normal(size=1_000))
    assert grid.count(["0.5", "abc", None, 1, timedelta(seconds=1), [1]])[-1] == 3
    assert grid.count(pd.Series(pd.to_datetime(["2026-01-01"])))[-1] == 1


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"])),
        pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True)),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        [datetime(2026, 1, 1), None],  # noqa: DTZ001
    ],
)
def test_times_are_refused_with_the_reason(values):
    with pytest.raises(DeclarationError, match="drift by nature"):
        Grid.fit(values)


def test_differences_of_times_are_numbers():
    spans = pd.Series(pd.to_timedelta([1, 2, 3, None], unit="s"))
    assert Grid.fit(spans).counts[-1] == 1


@pytest.mark.parametrize("bins", [1, 0, -3, 2.5, True, "ten"])
def test_wrong_numbers_of_bins_are_refused(bins):
    with pytest.raises(DeclarationError, match="bins="):
        Grid.fit([1.0, 2.0], bins)


def test_a_version_from_the_future_is_refused():
    written = Grid.fit([1.0, 2.0, 3.0]).to_json()
    with pytest.raises(ValueError, match="version=2"):
        Grid.from_json({**written, "version": 2})


def test_lists_in_a_column_pass():
    assert Grid.fit([[1], [2], {"a": 1}]).counts.sum() == 3


@given(
    arrays(np.float64, st.integers(0, 80), elements=ANY_FLOAT),
    arrays(np.float64, st.integers(0, 80), elements=ANY_FLOAT),
)
def test_numbers_all_counted_saved_and_compared(reference, window):
    _every_promise(reference, window)


@given(st.lists(LEVEL, max_size=60), st.lists(LEVEL, max_size=60))
def test_levels_all_counted_saved_and_compared(reference, window):
    _every_promise(np.array([*reference, None], dtype=object), np.array([*window, None], dtype=object))


@given(st.lists(st.integers() | st.booleans() | LEVEL, max_size=40), st.lists(ANY_FLOAT | LEVEL, max_size=40))
def test_mixtures_all_counted_saved_and_compared(reference, window):
    _every_promise(np.array([*reference, None], dtype=object), np.array([*window, None], dtype=object))


def _every_promise(reference, window):
    grid = Grid.fit(reference)
    assert grid.counts.sum() == len(reference)
    np.testing.assert_array_equal(grid.count(reference), grid.counts)
    counts = grid.count(window)
    assert counts.dtype == np.int64
    assert counts.sum() == len(window)
    assert (counts >= 0).all()
    half = len(window) // 2
    np.testing.assert_array_equal(grid.count(window[:half]) + grid.count(window[half:]), counts)
    again = Grid.from_json(json.loads(json.dumps(grid.to_json(), allow_nan=False)))
    np.testing.assert_array_equal(again.count(window), counts)
    np.testing.assert_array_equal(again.counts, grid.counts)
    assert 0 <= psi(reference, window) < np.inf
    assert psi(reference, reference) == 0.0


def test_the_largest_number_there_is_can_be_saved():
    grid = Grid.fit([np.finfo(float).max])
    json.dumps(grid.to_json(), allow_nan=False)
    assert grid.count([np.finfo(float).max, 0.0]).sum() == 2
