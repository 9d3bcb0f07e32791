"""Named metrics equal scikit-learn's; None, never nan, where there is no answer."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as theirs
from hypothesis import given
from hypothesis import strategies as st

from rekindle.errors import DeclarationError
from rekindle.stats.metrics import METRICS, Metric, metric


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def table(rng, rows, classes):
    weights = rng.random((rows, classes)) ** 2
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("names", [(0, 1), ("no", "yes"), (False, True)])
def test_two_classes_equal_scikit_learn(rng, names):
    label = np.asarray(names)[rng.integers(0, 2, 500)]
    given_ = table(rng, 500, 2).round(2)
    said = np.asarray(names)[given_.argmax(axis=1)]
    expected = {
        "accuracy": theirs.accuracy_score(label, said),
        "balanced_accuracy": theirs.balanced_accuracy_score(label, said),
        "f1": theirs.f1_score(label, said, pos_label=names[1]),
        "roc_auc": theirs.roc_auc_score(label, given_[:, 1]),
        "log_loss": theirs.log_loss(label, given_, labels=names),
    }
    for name, value in expected.items():
        assert metric(name).value(label, given_, classes=names) == pytest.approx(value), name
        assert metric(name).value(label, given_) == pytest.approx(value), name


def test_three_classes_equal_scikit_learn(rng):
    names = np.array(["x", "y", "z"])
    label, given_ = names[rng.integers(0, 3, 500)], table(rng, 500, 3)
    said = names[given_.argmax(axis=1)]
    expected = {
        "accuracy": theirs.accuracy_score(label, said),
        "balanced_accuracy": theirs.balanced_accuracy_score(label, said),
        "f1": theirs.f1_score(label, said, average="macro"),
        "roc_auc": theirs.roc_auc_score(label, given_, multi_class="ovr", labels=names),
        "log_loss": theirs.log_loss(label, given_, labels=names),
    }
    for name, value in expected.items():
        assert metric(name).value(label, given_, classes=names) == pytest.approx(value), name
        if not metric(name).needs_probability:
            assert metric(name).value(label, said) == pytest.approx(value), name


def test_numbers_equal_scikit_learn(rng):
    label, said = rng.normal(size=300), rng.normal(size=300)
    assert metric("mae").value(label, said) == pytest.approx(theirs.mean_absolute_error(label, said))
    assert metric("rmse").value(label, said) == pytest.approx(theirs.root_mean_squared_error(label, said))
    assert metric("r2").value(label, said) == pytest.approx(theirs.r2_score(label, said))


def test_row_1_directional_accuracy_is_the_share_of_right_signs():
    assert metric("directional_accuracy").value([1.2, -0.3, 0.0, 4.0], [0.1, -9.0, 0.0, -1.0]) == 0.75


def test_one_dimension_of_probabilities_is_the_second_class():
    label, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    assert metric("roc_auc").value(label, score) == pytest.approx(0.75)
    assert metric("log_loss").value(label, score) == pytest.approx(theirs.log_loss(label, score))


@pytest.mark.parametrize(
    ("name", "label", "prediction"),
    [
        ("roc_auc", [1, 1, 1], [[0.1, 0.9]] * 3),
        ("roc_auc", [0, 1], [0, 1]),  # class labels are no probabilities
        ("roc_auc", ["a", "b"], ["a", "b"]),
        ("log_loss", [0, 1], [3.0, -2.0]),
        ("balanced_accuracy", [1, 1], [1, 0]),
        ("f1", [0, 0], [0, 0]),
        ("r2", [2.0, 2.0], [1.0, 3.0]),
        ("r2", [2.0], [1.0]),
        ("accuracy", [0, 1], [np.nan, 1.0]),
        ("mae", [0.0, 1.0], [np.inf, 1.0]),
        ("rmse", [1e308, -1e308], [-1e308, 1e308]),
        ("directional_accuracy", [np.nan], [1.0]),
        ("accuracy", [1, 0], [1]),
        ("accuracy", [1, 0], [[0.1, 0.2, 0.7]] * 2),
    ],
)
def test_none_where_there_is_no_answer(name, label, prediction):
    assert metric(name).value(np.array(label), np.array(prediction)) is None


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_rows_no_value(name):
    for label in ([], [np.nan, np.nan], pd.Series([None, None], dtype="Int64")):
        assert metric(name).value(label, np.full(len(label), 0.5)) is None


@pytest.mark.parametrize("name", sorted(METRICS))
def test_rows_without_a_label_are_left_out(name):
    label, said = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.2, 0.9, 1.0, 0.3])
    holed, more = np.insert(label, 2, np.nan), np.insert(said, 2, 0.0)
    if not metric(name).needs_probability:
        said, more = said.round(), more.round()
    value = metric(name).value(label, said)
    assert value is not None
    assert metric(name).value(holed, more) == value


@pytest.mark.parametrize(
    "label",
    [
        np.array([1, 0, None, 1], dtype=object),
        np.array([True, False, None, True], dtype=object),
        pd.Series([1, 0, None, 1], dtype="Int64"),
        pd.Series([True, False, None, True], dtype="boolean"),
        pd.Series([1, 0, pd.NA, 1], dtype=object),
    ],
)
def test_labels_of_every_type(label):
    assert metric("accuracy").value(label, np.array([1, 1, 0, 1])) == pytest.approx(2 / 3)
    assert metric("directional_accuracy").value(label, np.array([1, 1, 0, 1])) == pytest.approx(2 / 3)
    table_ = np.array([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5], [0.1, 0.9]])
    assert metric("roc_auc").value(label, table_, classes=[0, 1]) == 1.0


def test_a_class_the_model_never_knew_counts_as_given_no_probability():
    value = metric("log_loss").value(["a", "new"], np.array([[1.0, 0.0], [0.5, 0.5]]), classes=["a", "b"])
    assert value == pytest.approx(-math.log(np.finfo(float).eps) / 2)


def test_classes_of_regression_are_no_hindrance():
    assert metric("mae").value([1.0], [2.0], classes=()) == 1.0


@pytest.mark.parametrize(
    ("name", "nearest"), [("auc", "roc_auc"), ("acuracy", "accuracy"), ("logloss", "log_loss")]
)
def test_an_unknown_name_gets_the_nearest(name, nearest):
    with pytest.raises(DeclarationError, match=f"Did you mean '{nearest}'"):
        metric(name)


def test_every_metric_says_its_direction_and_tasks():
    lower = {name for name, m in METRICS.items() if not m.higher_is_better}
    assert lower == {"log_loss", "mae", "rmse"}
    assert metric("roc_auc").tasks == ("classification",)
    assert metric("rmse").tasks == ("regression",)
    assert set(metric("directional_accuracy").tasks) == {"classification", "regression"}


def test_a_metric_of_ones_own():
    def median_error(label, prediction):
        return np.median(np.abs(label - prediction))

    own = Metric.of(median_error, higher_is_better=False)
    assert (own.name, own.higher_is_better) == ("median_error", False)
    assert own.value([1.0, 2.0, 9.0], [1.0, 3.0, 0.0]) == 1.0
    assert own == Metric.of(median_error, higher_is_better=False)


def test_a_scikit_learn_metric_on_probabilities():
    own = Metric.of(theirs.roc_auc_score, name="auc", higher_is_better=True, needs_probability=True)
    given_ = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert own.value([0, 1], given_, classes=[0, 1]) == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert own.value([1, 1], given_, classes=[0, 1]) is None


def test_wrong_metrics_of_ones_own_are_refused():
    with pytest.raises(DeclarationError, match="function="):
        Metric.of("accuracy", higher_is_better=True)
    with pytest.raises(DeclarationError, match="higher_is_better="):
        Metric.of(min, higher_is_better="yes")


def test_errors_of_ones_own_function_are_passed_on():
    with pytest.raises(ZeroDivisionError):
        Metric.of(lambda label, prediction: 1 / 0, higher_is_better=True).value([1], [1])


def test_the_room_imports_numpy_only():
    probe = "import sys, rekindle.stats.metrics, rekindle.stats.losses, rekindle.stats.paired as p;"
    probe += "print({'pandas', 'scipy', 'sklearn'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@given(
    st.sampled_from(sorted(METRICS)),
    st.lists(
        st.tuples(st.floats() | st.sampled_from([0.0, 1.0]), st.floats() | st.sampled_from([0.0, 1.0])),
        max_size=30,
    ),
)
def test_never_nan_never_inf(name, pairs):
    label, prediction = np.array(pairs, dtype=float).reshape(-1, 2).T
    value = metric(name).value(label, prediction)
    assert value is None or math.isfinite(value)
