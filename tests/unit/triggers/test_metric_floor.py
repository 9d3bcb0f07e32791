"""MetricFloor: checklist rows 1 and 2, in either direction, on any metric."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from rekindle.errors import DeclarationError
from rekindle.records import Batch, Kind, Span
from rekindle.testing.triggers import sample_champion
from rekindle.triggers import MetricFloor

START = datetime(2026, 1, 1, tzinfo=UTC)


def batch(seq, metric=None, *, label=None, prediction=None):
    span = Span(seq, START + timedelta(days=seq), START + timedelta(days=seq + 1))
    rows = 100 if label is None else len(label)
    return Batch(span, span.end, rows, pd.DataFrame(index=range(rows)), prediction, label, None, metric)


def floor(shares, *, rows=100, **settings):
    """A trigger that has seen batches with these shares of right signs."""
    trigger = MetricFloor(**settings)
    trigger.reset(sample_champion())
    said = []
    for seq, share in enumerate(shares):
        label = np.ones(rows)
        prediction = np.where(np.arange(rows) < round(share * rows), 0.3, -0.3)
        said.append(trigger.observe(batch(seq, label=label, prediction=prediction)))
    json.dumps(trigger.get_state(), allow_nan=False)
    return trigger, said


def test_row_1_directional_accuracy_under_the_floor():
    trigger, said = floor([0.50, 0.48, 0.463], rows=1_000)
    signal = said[-1]
    assert signal.reason == "accuracy_0.481_below_0.52"
    assert (signal.kind, signal.trigger) == (Kind.PERFORMANCE_DECAY, "MetricFloor")
    assert (signal.statistic, signal.threshold) == (pytest.approx(0.481), 0.52)
    assert signal.severity == 3
    assert signal.evidence == trigger.report


def test_row_1_at_the_floor_all_is_well():
    trigger, said = floor([0.52] * 3)
    assert said == [None] * 3
    assert trigger.report["reason"] == "performance_ok"


def test_row_1_the_window_is_14_days():
    trigger, said = floor([0.1] * 10 + [0.9] * 14)
    assert trigger.report["predictions"] == 1_400
    assert trigger.report["value"] == pytest.approx(0.9)
    assert said[9] is not None
    assert said[-1] is None


def test_row_2_at_least_100_predictions():
    trigger, said = floor([0.0], rows=99)
    assert said == [None]
    assert (trigger.report["reason"], trigger.report["insufficient"]) == ("insufficient_data", True)
    _, said = floor([0.0], rows=100)
    assert said[0] is not None


def test_row_2_only_labelled_predictions_count():
    trigger = MetricFloor()
    label = np.full(300, np.nan)
    label[:99] = 1.0
    assert trigger.observe(batch(0, label=label, prediction=-np.ones(300))) is None
    assert trigger.report["predictions"] == 99


def test_batches_weigh_by_their_rows():
    trigger = MetricFloor(metric="accuracy", window=2)
    for seq, (rows, right) in enumerate([(900, 1), (100, 0)]):
        trigger.observe(batch(seq, label=np.ones(rows), prediction=np.full(rows, right)))
    assert trigger.report["value"] == pytest.approx(0.9)


def test_where_lower_is_better_the_floor_is_a_ceiling():
    trigger = MetricFloor(metric="mae", floor=1.0, window=5)
    signal = trigger.observe(batch(0, label=np.zeros(200), prediction=np.full(200, 1.3)))
    assert signal.reason == "mae_1.300_above_1"
    assert signal.severity == 5
    assert trigger.observe(batch(1, label=np.zeros(800), prediction=np.zeros(800))) is None


def test_memory_does_not_grow_with_rows():
    small, _ = floor([0.5] * 5, rows=200)
    large, _ = floor([0.5] * 5, rows=20_000)
    assert len(json.dumps(large.get_state())) < len(json.dumps(small.get_state())) + 30


def test_a_metric_of_probabilities_is_taken_from_the_loop():
    """Batches carry decided labels: roc_auc of those would be another number under the same name."""
    said = batch(0, 0.61, label=np.array([0, 1] * 100), prediction=np.array([0, 1] * 100))
    trigger = MetricFloor(metric="roc_auc", floor=0.7)
    trigger.reset(replace(sample_champion(), metric="roc_auc"))
    assert trigger.observe(said).reason == "roc_auc_0.610_below_0.7"
    trigger.reset(sample_champion())
    assert trigger.observe(said) is None
    assert trigger.report["reason"] == "needs_probabilities"
    table = np.tile([[0.9, 0.1], [0.2, 0.8]], (100, 1))
    assert trigger.observe(replace(said, prediction=table)) is None
    assert trigger.report["reason"] == "performance_ok"


def test_no_champion_is_said():
    trigger = MetricFloor()
    assert trigger.observe(batch(0)) is None
    assert trigger.report["reason"] == "no_champion"


def test_since_is_where_it_went_below():
    _, said = floor([0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    assert said[-1].since == START + timedelta(days=2)


def test_another_metric_refuses_the_old_memory():
    with pytest.raises(ValueError, match="measures="):
        MetricFloor(metric="accuracy").set_state(MetricFloor().get_state())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metric", "directional_acuracy"),
        ("floor", None),
        ("floor", float("nan")),
        ("window", "2 moons"),
        ("min_predictions", 0),
    ],
)
def test_wrong_settings_of_a_floor_are_refused_at_once(field, value):
    with pytest.raises(DeclarationError, match=f"{field}="):
        MetricFloor(**{field: value})
