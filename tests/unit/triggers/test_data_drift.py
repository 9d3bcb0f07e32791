"""DataDrift: the verdicts of checklist rows 3 and 4, what is insufficient, and the pitfalls of drift in practice."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rekindle.errors import DeclarationError
from rekindle.records import Kind
from rekindle.testing.triggers import sample_batches, sample_champion
from rekindle.triggers import DataDrift

BATCH = sample_batches(1)[0]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2)


def watch(reference, current, **settings):
    """A trigger that has seen one batch of `current`, and what it said."""
    trigger = DataDrift(**settings)
    trigger.reset(replace(sample_champion(), reference=pd.DataFrame(reference)))
    frame = pd.DataFrame(current)
    signal = trigger.observe(replace(BATCH, features=frame, rows=len(frame)))
    json.dumps(trigger.get_state(), allow_nan=False)
    return trigger, signal


def shifted(rng, shifts, rows=4_000):
    return {f"x{i}": rng.normal(shift, 1, rows) for i, shift in enumerate(shifts)}


def test_row_4_speaks_when_one_index_is_above_a_quarter(rng):
    trigger, signal = watch(shifted(rng, [0, 0], 20_000), shifted(rng, [0, 0.6]))
    assert signal is not None
    assert 0.25 < signal.statistic < 0.5
    assert (signal.kind, signal.trigger, signal.severity, signal.threshold) == (
        Kind.DATA_DRIFT,
        "DataDrift",
        3,
        0.25,
    )
    assert signal.reason == f"max_psi_{signal.statistic:.3f}_above_0.25"
    assert signal.since == BATCH.span.start
    assert signal.evidence["max_psi"] == signal.statistic == signal.evidence["psi_by_feature"]["x1"]
    assert signal.evidence["max_feature"] == "x1"
    assert signal.evidence["n_drifted_features"] == 1
    assert signal.evidence == trigger.report


@pytest.mark.parametrize(("drifted", "speaks"), [(3, False), (4, True)])
def test_row_4_speaks_when_more_than_three_features_are_above_a_fifth(rng, drifted, speaks):
    """A shift of 0.48 deviations is an index of about 0.22: above 0.2, below 0.25."""
    current = {f"x{i}": np.sort(rng.normal(size=20_000)) for i in range(6)}
    reference = {name: values.copy() for name, values in current.items()}
    for i in range(drifted):
        current[f"x{i}"] = current[f"x{i}"] + 0.48
    trigger, signal = watch(reference, current)
    assert 0.2 < trigger.report["max_psi"] < 0.25
    assert trigger.report["n_drifted_features"] == drifted
    assert (signal is not None) == speaks
    if signal is not None:
        assert signal.reason == "drifted_features_4_above_3"
        assert (signal.statistic, signal.threshold) == (4.0, 3.0)


def test_quiet_inputs_say_no_drift(rng):
    trigger, signal = watch(shifted(rng, [0] * 50, 20_000), shifted(rng, [0] * 50, 2_000))
    assert signal is None
    assert trigger.report["reason"] == "no_drift"
    assert trigger.report["max_psi"] < 0.05
    assert max(trigger.report["psi_corrected_by_feature"].values()) < trigger.report["max_psi"]


@pytest.mark.parametrize(("shift", "severity"), [(0.6, 3), (0.85, 4), (1.5, 5)])
def test_severity_follows_the_largest_index(rng, shift, severity):
    _, signal = watch(shifted(rng, [0], 20_000), shifted(rng, [shift]))
    assert signal is not None
    assert signal.severity == severity


def test_row_89_values_outside_the_training_bins_are_seen(rng):
    current = rng.normal(size=2_000)
    current[:800] = 50.0
    _, signal = watch({"x": rng.normal(size=20_000)}, {"x": current})
    assert signal is not None
    assert signal.statistic > 0.5


def test_a_window_wholly_outside_is_seen(rng):
    _, signal = watch({"x": rng.normal(size=5_000)}, {"x": rng.normal(1e9, 1, 600)})
    assert signal is not None
    assert signal.severity == 5


def test_few_rows_are_insufficient_aloud(rng):
    trigger, signal = watch(shifted(rng, [0], 5_000), shifted(rng, [5], 499))
    assert signal is None
    assert trigger.report["insufficient"] is True
    assert trigger.report["reason"] == "rows_499_below_500"


def test_few_reference_rows_are_insufficient_aloud(rng):
    trigger, signal = watch(shifted(rng, [0], 120), shifted(rng, [5], 5_000))
    assert (signal, trigger.report["reason"]) == (None, "reference_rows_120_below_500")
    _, signal = watch(shifted(rng, [0], 120), shifted(rng, [5], 5_000), min_rows=100)
    assert signal is not None


def test_an_empty_window_is_insufficient(rng):
    trigger, signal = watch(shifted(rng, [0]), {"x0": []})
    assert (signal, trigger.report["reason"]) == (None, "rows_0_below_500")


def test_without_a_reference_it_says_so(rng):
    trigger = DataDrift()
    assert trigger.observe(BATCH) is None
    assert trigger.report["reason"] == "no_reference"
    trigger.reset(replace(sample_champion(), reference=None))
    assert trigger.observe(BATCH) is None
    assert trigger.report == {
        "insufficient": True,
        "rows": 600,
        "reference_rows": 0,
        "reason": "no_reference",
    }


def test_vanished_empty_and_new_features_are_reported_apart(rng):
    reference = shifted(rng, [0, 0, 0])
    current = {"x0": reference["x0"], "x1": np.full(4_000, np.nan), "x9": np.ones(4_000)}
    trigger, signal = watch(reference, current)
    assert signal is None
    assert (trigger.report["vanished"], trigger.report["new"]) == (["x2"], ["x9"])
    assert trigger.report["too_few_values"] == ["x1"]
    assert trigger.report["missing_by_feature"] == {"x1": 1.0}
    assert list(trigger.report["psi_by_feature"]) == ["x0"]


def test_a_column_of_mostly_missing_values_has_no_index(rng):
    """60 values of 2000: an index of noise, 0.15 on average."""
    current = np.full(2_000, np.nan)
    current[:60] = rng.normal(size=60)
    trigger, _ = watch(
        {"x": rng.normal(size=5_000), "y": rng.normal(size=5_000)}, {"x": current, "y": current.copy()}
    )
    assert trigger.report["too_few_values"] == ["x", "y"]
    assert trigger.report["reason"] == "no_comparable_feature"
    assert trigger.report["insufficient"] is True


def test_times_are_left_out_aloud(rng):
    reference = pd.DataFrame(
        {"x": rng.normal(size=600), "when": pd.date_range("2025", periods=600, tz="UTC")}
    )
    trigger, signal = watch(reference, reference.assign(when=pd.Timestamp("2026-01-01", tz="UTC")))
    assert signal is None
    assert (trigger.report["skipped"], trigger.report["new"]) == (["when"], [])


def test_only_the_named_features_are_watched(rng):
    trigger, signal = watch(shifted(rng, [0, 0], 5_000), shifted(rng, [0, 3]), features=["x0", "gone"])
    assert signal is None
    assert (list(trigger.report["psi_by_feature"]), trigger.report["skipped"]) == (["x0"], ["gone"])


@pytest.mark.parametrize("dtype", [object, "str", "category"])
def test_unseen_categories_are_seen(rng, dtype):
    reference = pd.DataFrame({"c": rng.choice(["a", "b"], 2_000)}).astype(dtype)
    current = pd.DataFrame({"c": rng.choice(["a", "b", "new"], 900)}).astype(dtype)
    trigger, signal = watch(reference, current)
    assert signal is not None
    assert trigger.report["unseen_by_feature"]["c"] == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        pytest.param([1] * 1_000, [2] * 1_000, id="constant"),
        pytest.param([True, False] * 500, [True] * 1_000, id="bool"),
        pytest.param([2**60 + i for i in range(1_000)], [2**61 + i for i in range(1_000)], id="int64"),
        pytest.param(
            pd.array([1, None, 2, 3] * 250, dtype="Int64"), pd.array([9] * 1_000, dtype="Int64"), id="Int64"
        ),
        pytest.param(
            pd.array([0.5, None] * 500, dtype="Float64"),
            pd.array([9.5] * 1_000, dtype="Float64"),
            id="Float64",
        ),
        pytest.param(
            pd.array([True, None] * 500, dtype="boolean"),
            pd.array([False] * 1_000, dtype="boolean"),
            id="boolean",
        ),
        pytest.param(np.linspace(0, 1, 1_000), [np.inf] * 1_000, id="inf"),
        pytest.param(["a"] * 1_000, [1, "b"] * 500, id="mixed"),
    ],
)
def test_a_complete_change_is_seen_in_every_type(reference, current):
    _, signal = watch({"x": reference}, {"x": current})
    assert signal is not None
    assert signal.severity == 5


def test_two_columns_of_one_name_and_names_that_are_no_text_pass(rng):
    frame = pd.DataFrame(rng.normal(size=(1_000, 3)), columns=["a", "a", 7])
    trigger, signal = watch(frame, frame)
    assert signal is None
    assert list(trigger.report["psi_by_feature"]) == ["7", "a"]


def test_a_number_that_becomes_text_is_no_crash(rng):
    trigger, signal = watch({"x": rng.normal(size=1_000)}, {"x": ["oops"] * 1_000})
    assert signal is None
    assert trigger.report["missing_by_feature"] == {"x": 1.0}
    assert trigger.report["insufficient"] is True


def test_a_change_of_what_is_measured_refuses_the_old_memory():
    """The state in the store is kept by the trigger's name: grids of 10 bins must not serve 20."""
    old = DataDrift()
    old.reset(sample_champion())
    with pytest.raises(ValueError, match="measures="):
        DataDrift(bins=20).set_state(old.get_state())
    DataDrift(max_threshold=0.4).set_state(old.get_state())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("feature_threshold", -0.1),
        ("feature_threshold", float("nan")),
        ("max_threshold", "0.25"),
        ("max_features", 2.5),
        ("max_features", True),
        ("bins", 1),
        ("min_rows", 0),
        ("features", "age"),
        ("features", []),
        ("features", [1]),
    ],
)
def test_wrong_settings_are_refused_at_once(field, value):
    with pytest.raises(DeclarationError, match=f"{field}="):
        DataDrift(**{field: value})
