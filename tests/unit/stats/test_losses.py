"""Row losses: one finite number per row, never below 0; missing predictions are named, not scored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import DeclarationError, NotEnoughData
from rekindle.stats.losses import CappedError, row_loss, zero_one

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("label", "prediction"),
    [
        ([1, 0, 1], [1, 1, 1]),
        ([1.0, 0.0, 1.0], [1, 1, 1]),
        ([True, False, True], [True, True, True]),
        (["a", "b", "a"], np.array(["a", "a", "a"], dtype=object)),
        (pd.Series(["a", "b", "a"]), ["a", "a", "a"]),
        (pd.Series(["a", "b", "a"], dtype="category"), pd.Series(["a", "a", "a"], dtype="category")),
        (pd.Series([1, 0, 1], dtype="Int64"), [1, 1, 1]),
        (pd.Series([True, False, True], dtype="boolean"), [1, 1, 1]),
        ([1, 0, 1], np.array([[1], [1], [1]])),
    ],
)
def test_zero_one_on_labels_of_every_type(label, prediction):
    assert zero_one(label, prediction).tolist() == [0.0, 1.0, 0.0]


def test_zero_one_takes_the_likeliest_class():
    table = np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]])
    assert zero_one(["y", "z"], table, classes=["x", "y", "z"]).tolist() == [0.0, 1.0]
    assert zero_one(["y", "z"], pd.DataFrame(table, columns=["x", "y", "z"])).tolist() == [0.0, 1.0]
    assert row_loss("classification", classes=("x", "y", "z"))(["y", "z"], table).tolist() == [0.0, 1.0]


def test_zero_one_never_guesses_the_classes():
    with pytest.raises(ValueError, match="pass classes="):
        zero_one([1, 2], np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]]))


def test_labels_of_another_type_are_wrong_not_an_error():
    assert zero_one(np.array(["1", "2"]), np.array([1, 2])).tolist() == [1.0, 1.0]


def test_capped_error_is_scaled_by_the_central_90_percent():
    loss = CappedError.from_target(np.arange(101.0))
    assert loss.scale == pytest.approx(90.0)
    assert loss([0.0, 0.0, 0.0], [9.0, -45.0, 1e9]).tolist() == pytest.approx([0.1, 0.5, 1.0])
    assert row_loss("regression", np.arange(101.0)) == loss


@pytest.mark.parametrize(
    ("target", "scale"),
    [
        ([5.0] * 9, 5.0),
        ([0.0] * 9, 1.0),
        ([-3.0] * 9, 3.0),
        ([0.0] * 99 + [7.0], 7.0),
        ([1.0, None, np.inf], 1.0),
    ],
)
def test_a_target_without_spread_still_has_a_scale(target, scale):
    assert CappedError.from_target(target).scale == pytest.approx(scale)


def test_a_target_without_values_is_refused():
    for empty in ([], [None], [np.nan, np.inf], None):
        with pytest.raises(NotEnoughData, match="no finite number"):
            row_loss("regression", empty)


@pytest.mark.parametrize("scale", [0, -1, np.inf, np.nan, "1"])
def test_wrong_scales_are_refused(scale):
    with pytest.raises(DeclarationError, match="scale="):
        CappedError(scale)


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(DeclarationError, match="Did you mean 'classification'"):
        row_loss("clasification")


@pytest.mark.parametrize("loss", [zero_one, CappedError(1.0)])
def test_a_missing_prediction_is_named_with_its_row(loss):
    with pytest.raises(ValueError, match=r"prediction is missing or NaN on 1 of 3 rows, first on row 2"):
        loss([1.0, 0.0, 1.0], [1.0, 0.0, np.nan])


@pytest.mark.parametrize("loss", [zero_one, CappedError(1.0)])
def test_a_missing_label_is_named(loss):
    with pytest.raises(ValueError, match=r"label is missing or NaN on 2 of 3 rows, first on row 0"):
        loss(pd.Series([None, 1, None], dtype="Int64"), [1, 0, 1])


def test_missing_probabilities_are_named():
    with pytest.raises(ValueError, match="first on row 1"):
        zero_one([0, 1], np.array([[0.4, 0.6], [np.nan, 0.5]]), classes=[0, 1])


def test_other_lengths_are_refused_not_broadcast():
    for loss in (zero_one, CappedError(1.0)):
        with pytest.raises(ValueError, match="3 labels, 1 predictions"):
            loss([1.0, 0.0, 1.0], [1.0])


def test_an_infinite_prediction_costs_1_and_an_infinite_label_is_refused():
    assert CappedError(1.0)([0.0], [np.inf]).tolist() == [1.0]
    with pytest.raises(ValueError, match="quarantine"):
        CappedError(1.0)([np.inf], [np.inf])


def test_no_rows_no_losses():
    assert zero_one([], []).shape == (0,)
    assert CappedError(1.0)([], []).shape == (0,)


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1))
def test_losses_lie_between_0_and_1(pairs):
    label, prediction = np.array(pairs).T
    for loss in (CappedError.from_target(label), zero_one):
        losses = loss(label, prediction)
        assert losses.dtype == np.float64
        assert ((losses >= 0) & (losses <= 1)).all()
