"""PerformanceDecay: checklist rows 9 and 19-22, and the seeds' defects around them (row 89)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import DeclarationError
from rekindle.records import Batch, Kind, Span
from rekindle.testing.triggers import sample_champion
from rekindle.triggers import PerformanceDecay, decay_priority

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOISE = (0.004, -0.004, 0.002, -0.002)


def batch(seq, metric=None, *, index=False):
    start = seq * 10 if index else START + seq * HOUR
    span = Span(seq, start, start + (10 if index else HOUR))
    return Batch(
        span, START + (seq + 1) * HOUR, 100, pd.DataFrame(index=range(100)), None, None, None, metric
    )


def decay(values, *, baseline=0.9, higher=True, index=False, **settings):
    """A trigger that has seen these values, one an hour, and what it said last."""
    trigger = PerformanceDecay(**settings)
    trigger.reset(
        replace(sample_champion(baseline_metric=baseline), higher_is_better=higher, metric="roc_auc")
    )
    said = [trigger.observe(batch(seq, value, index=index)) for seq, value in enumerate(values)]
    json.dumps(trigger.get_state(), allow_nan=False)
    return trigger, said


def around(level, count=10):
    return [level + NOISE[i % len(NOISE)] for i in range(count)]


def test_row_9_a_fall_of_five_points_speaks():
    trigger, said = decay(around(0.85, 12))
    assert said[:9] == [None] * 9
    signal = said[-1]
    assert (signal.kind, signal.trigger, signal.threshold) == (
        Kind.PERFORMANCE_DECAY,
        "PerformanceDecay",
        0.05,
    )
    assert signal.statistic == pytest.approx(0.05)
    assert signal.reason == "roc_auc_0.850_decayed_0.050_from_0.900"
    assert signal.evidence == trigger.report


def test_row_9_a_smaller_fall_does_not():
    trigger, said = decay(around(0.86))
    assert said[-1] is None
    assert trigger.report["reason"] == "performance_ok"
    assert trigger.report["p"] < 0.05


def test_row_9_rounding_does_not_hide_a_fall_of_just_five_points():
    assert 0.85 - 0.80 < 0.05
    _, said = decay([0.8] * 10, baseline=0.85)
    assert said[-1] is not None


def test_row_19_ten_values_are_needed():
    trigger, said = decay(around(0.5, 9), window="24h")
    assert said[-1] is None
    assert (trigger.report["insufficient"], trigger.report["reason"]) == (True, "insufficient_data")
    assert (trigger.report["values"], trigger.report["needed"], trigger.report["severity"]) == (9, 10, 1)
    _, said = decay(around(0.5, 10), window="24h")
    assert said[-1] is not None


def test_row_19_the_window_decides_what_is_recent():
    """Row 89: the seed tags values with their window and then averages all of them."""
    values = [*around(0.9, 48), *around(0.84, 24)]
    for window in ("24h", 24, "24 batches"):
        trigger, said = decay(values, window=window)
        assert trigger.report["values"] == 24
        assert trigger.report["mean"] == pytest.approx(0.84)
        assert said[-1] is not None
    trigger, said = decay(values, window="3d")
    assert trigger.report["values"] == 72
    assert said[-1] is None


def test_row_19_old_values_do_not_count_after_a_pause():
    trigger, said = decay(around(0.5, 12), window="24h")
    assert said[-1] is not None
    assert trigger.observe(batch(500, 0.5)) is None
    assert trigger.report["values"] == 1


def test_row_19_a_window_of_batches_serves_an_integer_index():
    _, said = decay(around(0.8, 5), window="3 batches", index=True)
    assert said[1] is None
    assert said[2] is not None
    assert said[2].since == 0


def test_a_window_in_time_on_an_integer_index_names_the_way_out():
    with pytest.raises(DeclarationError, match="give the window in batches"):
        decay([0.9], window="24h", index=True)


def test_row_20_statistics():
    trigger, said = decay([0.80, 0.82, 0.78, 0.80], window=4)
    report = trigger.report
    assert (report["mean"], report["decay"]) == (pytest.approx(0.80), pytest.approx(0.10))
    assert report["std"] == pytest.approx(np.std([0.80, 0.82, 0.78, 0.80], ddof=1))
    assert report["decay_percent"] == pytest.approx(100 * 0.1 / 0.9)
    assert PerformanceDecay().drop == 0.05
    assert said[-1] is not None


def test_row_21_the_t_test_gates():
    """Row 89: the mean fell by 0.1, but from values so scattered that it says nothing; the seed fires anyway."""
    trigger, said = decay([0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, -0.55])
    assert trigger.report["decay"] == pytest.approx(0.1)
    assert trigger.report["p"] > 0.05
    assert said[-1] is None
    assert trigger.report["reason"] == "decay_not_significant"


def test_row_21_alpha_is_the_gate():
    values = [0.70, 0.99, 0.72, 0.95, 0.71, 0.93, 0.74, 0.97, 0.75, 0.85]
    strict, said = decay(values, alpha=0.001)
    assert said[-1] is None
    assert 0.001 < strict.report["p"] < 0.2
    _, said = decay(values, alpha=0.2)
    assert said[-1] is not None


def test_row_21_values_without_any_spread_are_significant():
    trigger, said = decay([0.8] * 10)
    assert (trigger.report["p"], trigger.report["t"]) == (0.0, None)
    assert said[-1] is not None


@pytest.mark.parametrize(
    ("percent", "priority"),
    [(25, 5), (20.1, 5), (20, 4), (10.1, 4), (10, 3), (5.1, 3), (5, 2), (0.1, 2), (0, 1), (-9, 1)],
)
def test_row_22_severity(percent, priority):
    assert decay_priority(percent) == priority


@pytest.mark.parametrize(("level", "severity"), [(0.70, 5), (0.78, 4), (0.84, 3)])
def test_row_22_severity_of_a_signal(level, severity):
    _, said = decay(around(level))
    assert said[-1].severity == severity


def test_row_22_a_fall_of_five_percent_or_less_is_2():
    _, said = decay(around(0.96), baseline=1.0, drop=0.03)
    assert said[-1].severity == 2


def test_row_89_lower_is_better():
    """Decay of an error is a rise; the seed takes an improvement for one and misses the rise."""
    _, said = decay(around(0.36), baseline=0.30, higher=False)
    assert said[-1] is not None
    assert said[-1].statistic == pytest.approx(0.06)
    assert said[-1].reason == "roc_auc_0.360_decayed_0.060_from_0.300"
    trigger, said = decay(around(0.20), baseline=0.30, higher=False)
    assert said[-1] is None
    assert trigger.report["decay"] == pytest.approx(-0.10)


def test_a_rise_of_a_metric_where_higher_is_better_is_no_decay():
    trigger, said = decay(around(0.99), drop=0)
    assert said[-1] is None
    assert (trigger.report["reason"], trigger.report["severity"]) == ("performance_ok", 1)


def test_without_a_baseline_the_first_three_batches_make_it_aloud():
    trigger, said = decay([0.91, 0.90, 0.89, *around(0.8)], baseline=None)
    assert trigger.report["baseline"] == pytest.approx(0.9)
    assert trigger.report["baseline_from"] == "first_3_batches"
    assert trigger.report["values"] == 10
    assert said[-1] is not None
    assert said[-2] is None
    with_one, _ = decay([0.9])
    assert with_one.report["baseline_from"] == "validation"


def test_a_baseline_of_nan_is_none():
    trigger, _ = decay([0.9, 0.9], baseline=float("nan"))
    assert trigger.report["baseline"] is None


def test_a_baseline_of_zero_has_no_percentage():
    trigger, said = decay(around(-0.2), baseline=0.0)
    assert trigger.report["decay_percent"] is None
    assert said[-1].severity == 2


def test_values_that_could_not_be_computed_are_left_out():
    for window in ("24h", 10):
        trigger, said = decay([None, float("nan"), *around(0.8), None], window=window)
        assert trigger.report["values"] == 10
        assert said[-1] is not None


def test_values_older_than_twice_the_window_do_not_count():
    trigger, _ = decay([*around(0.8), *[None] * 20], window=10)
    assert trigger.report["values"] == 0


def test_since_is_where_the_fall_began():
    _, said = decay([*around(0.9, 6), *around(0.75, 6)], window=12)
    assert said[-1].since == START + 6 * HOUR


def test_a_new_champion_starts_from_nothing():
    trigger, said = decay(around(0.5))
    assert said[-1] is not None
    trigger.reset(sample_champion(baseline_metric=0.5))
    assert trigger.observe(batch(20, 0.3)) is None
    assert trigger.report["values"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("drop", -0.1),
        ("drop", "5%"),
        ("window", "soon"),
        ("window", "0 batches"),
        ("window", 0),
        ("window", 1),
        ("window", True),
        ("window", "99999999999999999d"),
        ("min_values", 1),
        ("alpha", 0),
        ("alpha", 5),
    ],
)
def test_wrong_settings_of_a_decay_are_refused_at_once(field, value):
    with pytest.raises(DeclarationError, match=f"{field}="):
        PerformanceDecay(**{field: value})


def test_a_window_too_short_for_its_values_is_refused():
    with pytest.raises(DeclarationError, match="give 10 batches or more"):
        PerformanceDecay(window=5, min_values=10)
    assert PerformanceDecay(window=5).needed == 5
    assert PerformanceDecay(window=50).needed == 10
    assert PerformanceDecay(window="24h").needed == 10


@given(st.lists(st.none() | st.floats(), max_size=30), st.none() | st.floats(), st.booleans())
def test_no_stream_of_metrics_breaks_it(values, baseline, higher):
    decay(values, baseline=baseline, higher=higher, window=5)
