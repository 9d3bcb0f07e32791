"""Tests of a mean equal scipy's; too few values and no spread have an answer too."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from rekindle.stats.paired import block_se, one_sample_t, paired_mean


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def test_equals_scipy(rng):
    first, second = rng.random(200), rng.random(200) + 0.05
    result = paired_mean(first - second)
    worse = scipy.stats.ttest_rel(first, second, alternative="greater")
    better = scipy.stats.ttest_rel(first, second, alternative="less")
    assert (result.t, result.p_worse) == pytest.approx((worse.statistic, worse.pvalue))
    assert (result.p_better, result.n) == (pytest.approx(better.pvalue), 200)
    assert result.low == pytest.approx(worse.confidence_interval(0.95).low)
    assert result.high == pytest.approx(better.confidence_interval(0.95).high)


def test_the_bounds_agree_with_the_one_sided_tests(rng):
    for shift in np.linspace(-0.3, 0.3, 13):
        result = paired_mean(rng.normal(shift, 1, 100))
        assert (result.low > 0) == (result.p_worse < 0.05)
        assert (result.high < 0) == (result.p_better < 0.05)


@pytest.mark.parametrize("values", [[], [0.3]])
def test_too_few_rows_have_no_p(values):
    result = paired_mean(values)
    assert (result.n, result.se, result.t, result.p_worse, result.p_better) == (
        len(values),
        None,
        None,
        None,
        None,
    )
    assert result.mean == (values[0] if values else None)


@pytest.mark.parametrize(("value", "worse", "better"), [(0.0, 1.0, 1.0), (0.1, 0.0, 1.0), (-0.1, 1.0, 0.0)])
def test_equal_differences_are_decided_by_their_sign(value, worse, better):
    result = paired_mean(np.full(50, value))
    assert (result.mean, result.se, result.t) == (value, 0.0, None)
    assert (result.p_worse, result.p_better) == (worse, better)


def test_nan_is_refused_with_the_count():
    with pytest.raises(ValueError, match="2 of 3 rows"):
        paired_mean([np.nan, 0.0, np.inf])


def test_false_alarms_keep_to_their_rate(rng):
    """1000 pairs of equal models: 5 % of them, give or take, look significantly worse."""
    alarms = sum(paired_mean(rng.normal(size=60)).p_worse < 0.05 for _ in range(1_000))
    assert 30 <= alarms <= 72


def test_blocks_see_the_resemblance_of_neighbours(rng):
    """Rows in runs of 10 equal values: the plain standard error is too small by about the root of 10."""
    values = np.repeat(rng.normal(size=400), 10)
    plain, blocks = paired_mean(values), paired_mean(values, blocks=True)
    assert 2.0 < blocks.se / plain.se < 4.5
    assert blocks.se == block_se(values)
    assert block_se(values, length=10) == pytest.approx(1 / 20, rel=0.2)


def test_blocks_of_independent_rows_change_little(rng):
    values = rng.normal(size=5_000)
    assert paired_mean(values, blocks=True).se == pytest.approx(paired_mean(values).se, rel=0.25)


def test_a_single_block_has_no_spread():
    assert block_se([1.0, 2.0], length=2) is None
    assert block_se([]) is None


def test_row_21_equals_scipy(rng):
    values = rng.normal(0.8, 0.05, 24)
    expected = scipy.stats.ttest_1samp(values, 0.85)
    result = one_sample_t(values, 0.85)
    assert (result.t, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert (result.mean, result.std, result.n) == (
        pytest.approx(values.mean()),
        pytest.approx(values.std(ddof=1)),
        24,
    )


def test_row_21_without_spread():
    assert one_sample_t([0.8] * 5, 0.9).p == 0.0
    assert one_sample_t([0.9] * 5, 0.9).p == 1.0
    assert one_sample_t([0.1 + 0.2] * 5, 0.3).p == 1.0
    assert one_sample_t([0.8] * 5, 0.9).t is None


def test_row_21_too_few():
    assert (one_sample_t([0.8], 0.9).p, one_sample_t([], 0.9).mean) == (None, None)


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1e-300, 0.1]), max_size=40), st.floats(-10, 10))
def test_p_is_a_probability_or_none(values, baseline):
    result, test = paired_mean(values), one_sample_t(values, baseline)
    for p in (result.p_worse, result.p_better, test.p):
        assert p is None or 0 <= p <= 1
    for number in (result.mean, result.se, result.t, result.low, result.high, test.t, test.mean, test.std):
        assert number is None or np.isfinite(number)
