"""Weighted bins from one sort a column are the bins scikit-learn finds itself."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting import binning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rekindle.training.binning import weighted_bins_at_once


def rows(seed=0, n=1500):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 4))
    values[rng.random(values.shape) < 0.05] = np.nan
    values[:, 3] = rng.integers(0, 5, n)
    return values, (np.nan_to_num(values[:, 0]) > 0).astype(int), 0.5 ** (np.arange(n)[::-1] / 300)


@pytest.mark.parametrize("max_bins", [255, 40])
@pytest.mark.parametrize("make", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_model_is_the_same_to_the_last_bit(make, max_bins):
    features, label, weight = rows()
    plain = make(max_iter=5, max_bins=max_bins, random_state=0).fit(features, label, weight)
    model = make(max_iter=5, max_bins=max_bins, random_state=0)
    with weighted_bins_at_once(model):
        model.fit(features, label, weight)
    for own, other in zip(model._bin_mapper.bin_thresholds_, plain._bin_mapper.bin_thresholds_, strict=True):
        assert np.array_equal(own, other)
    assert np.array_equal(model.predict(features), plain.predict(features))


def test_each_column_is_sorted_once(monkeypatch):
    asked = []
    original = binning._weighted_percentile
    monkeypatch.setattr(
        binning, "_weighted_percentile", lambda *a, **k: asked.append(np.size(a[2])) or original(*a, **k)
    )
    features, label, weight = rows()
    model = HistGradientBoostingClassifier(max_iter=2, random_state=0)
    with weighted_bins_at_once(model):
        model.fit(features, label, weight)
    assert asked == [254, 254, 254]  # the fourth column has few values and needs no quantiles


def test_scikit_learn_is_left_as_it_was():
    before = binning._weighted_percentile
    with pytest.raises(RuntimeError), weighted_bins_at_once(HistGradientBoostingClassifier()):
        raise RuntimeError
    assert binning._weighted_percentile is before


@pytest.mark.parametrize(
    "model", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_other_models_are_not_touched(model):
    before = binning._weighted_percentile
    with weighted_bins_at_once(model):
        assert binning._weighted_percentile is before


def test_a_pipeline_that_ends_in_boosting_gains_too():
    before = binning._weighted_percentile
    with weighted_bins_at_once(make_pipeline(StandardScaler(), HistGradientBoostingClassifier())):
        assert binning._weighted_percentile is not before
