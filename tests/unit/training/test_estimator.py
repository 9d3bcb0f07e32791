"""The adapter for scikit-learn style estimators: clones, seeds, weights, categories, and files."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from rekindle.errors import BundleError, DeclarationError, TrainingError
from rekindle.training.estimator import Estimator
from rekindle.training.table import Table


def table(rows=200, *, category=True, weight=None, task="classification", label=None, seed=0):
    rng = np.random.default_rng(seed)
    features = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows)})
    if category:
        features["k"] = pd.Categorical(rng.choice(["u", "v"], rows), categories=["u", "v"])
    label = (features["x"] > 0).to_numpy().astype(int) if label is None else np.asarray(label)
    classes = tuple(np.unique(label)) if task == "classification" else ()
    return Table(features, label, weight, task, classes)


class Keeper(BaseEstimator, ClassifierMixin):
    """Keeps what it was fitted with; looks columns up by name and validates nothing."""

    def __init__(self, answer=0):
        self.answer = answer

    def fit(self, X, y, sample_weight=None):
        self.features_, self.weight_, self.classes_ = X, sample_weight, np.unique(y)
        # returns nothing, as people's own estimators sometimes do

    def predict(self, X):
        return (X["x"] > 0).to_numpy().astype(int)


def test_the_declared_model_is_cloned_and_never_changed():
    model = LogisticRegression(C=0.5)
    trainer = Estimator(model)
    first, second = trainer.fit(table(), None, None), trainer.fit(table(), None, None)
    assert first is not second
    assert not hasattr(model, "coef_")
    assert model.random_state is None
    assert model.get_params() == LogisticRegression(C=0.5).get_params()


def test_the_seed_fills_every_open_random_state_and_no_other():
    forest = RandomForestClassifier(n_estimators=3)
    pipe = Pipeline([("scale", StandardScaler()), ("a", SGDClassifier(random_state=7))])
    assert Estimator(forest, seed=5).fit(table(category=False), None, None).random_state == 5
    assert Estimator(pipe, seed=5).fit(table(category=False), None, None)["a"].random_state == 7
    open_pipe = make_pipeline(StandardScaler(), SGDClassifier())
    assert Estimator(open_pipe, seed=5).fit(table(category=False), None, None)[-1].random_state == 5


def test_the_same_seed_makes_the_same_model():
    rows = table(category=False)

    def predicted(seed):
        trainer = Estimator(RandomForestClassifier(n_estimators=5, max_depth=3), seed=seed)
        return trainer.predict(trainer.fit(rows, None, None), rows.features)

    np.testing.assert_array_equal(predicted(1), predicted(1))
    assert not np.array_equal(predicted(1), predicted(2))


def test_weights_reach_a_plain_estimator():
    weight = np.linspace(0.1, 1, 200)
    fitted = Estimator(Keeper()).fit(table(category=False, weight=weight), None, None)
    np.testing.assert_array_equal(fitted.weight_, weight)


@pytest.mark.parametrize("category", [False, True])
def test_weights_reach_the_last_step_of_a_pipeline(category):
    weight = np.linspace(0.1, 1, 200)
    rows = table(category=category, weight=weight)
    pipe = Pipeline([("keep", "passthrough"), ("model", Keeper())])
    np.testing.assert_array_equal(Estimator(pipe).fit(rows, None, None)["model"].weight_, weight)


def test_weights_reach_a_model_behind_the_encoder_that_is_put_in_front():
    weight = np.where(np.arange(200) < 100, 1.0, 1e-6)
    label = np.where(np.arange(200) < 100, 0, 1)
    rows = table(weight=weight, label=label)
    fitted = Estimator(LogisticRegression()).fit(rows, None, None)
    assert fitted.predict_proba(rows.features)[:, 0].min() > 0.99  # the second half weighs nothing


def test_estimators_without_weights_are_fitted_without():
    rows = table(category=False, weight=np.linspace(0.1, 1, 200))
    assert Estimator(KNeighborsClassifier()).fit(rows, None, None).n_samples_fit_ == 200


def test_equal_weights_are_no_weights():
    fitted = Estimator(Keeper()).fit(table(category=False, weight=np.full(200, 0.5)), None, None)
    assert fitted.weight_ is None


def test_boosting_takes_categories_as_they_are():
    rows = table()
    fitted = Estimator(HistGradientBoostingClassifier(max_iter=5)).fit(rows, None, None)
    assert isinstance(fitted, HistGradientBoostingClassifier)
    assert fitted.is_categorical_.tolist() == [False, False, True]


def test_linear_models_get_a_one_hot_encoder_in_front():
    rows = table(label=None)
    rows = Table(
        rows.features, (rows.features["k"] == "u").to_numpy().astype(int), None, "classification", (0, 1)
    )
    trainer = Estimator(LogisticRegression(C=100))
    fitted = trainer.fit(rows, None, None)
    assert isinstance(fitted, Pipeline)
    assert (fitted.predict(rows.features) == rows.label).all(), "the category decides, so it must be seen"
    fresh = rows.features.assign(k=pd.Categorical([None] * 200, categories=["u", "v"]))
    assert np.isfinite(trainer.predict(fitted, fresh)).all(), "an unknown category is no error"


def test_a_pipeline_does_its_own_encoding():
    front = make_column_transformer((OneHotEncoder(), ["k"]), remainder="passthrough")
    pipe = make_pipeline(front, LogisticRegression())
    fitted = Estimator(pipe).fit(table(), None, None)
    assert [type(step) for _, step in fitted.steps] == [type(step) for _, step in pipe.steps]
    keeper = Estimator(Pipeline([("model", Keeper())])).fit(table(), None, None)["model"]
    assert keeper.features_["k"].dtype == "category"


@pytest.mark.parametrize(("labels", "said"), [([1] * 200, "1"), ([], "none")])
def test_one_class_is_no_classification(labels, said):
    rows = table(rows=len(labels), label=labels)
    with pytest.raises(TrainingError, match=f"one class only.*{said}.*needs two"):
        Estimator(DecisionTreeClassifier()).fit(rows, None, None)


def test_missing_values_that_a_model_does_not_take_are_named():
    rows = table(category=False)
    rows.features.loc[::7, "z"] = np.nan
    with pytest.raises(TrainingError, match="LogisticRegression takes no missing values, and 'z' has some"):
        Estimator(LogisticRegression()).fit(rows, None, None)
    Estimator(HistGradientBoostingClassifier(max_iter=2)).fit(rows, None, None)

    class Odd(Keeper):
        def fit(self, X, y, sample_weight=None):
            raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        Estimator(Odd()).fit(rows, None, None)


def test_regression_needs_no_classes():
    rows = table(task="regression", label=np.ones(200))
    trainer = Estimator(LinearRegression())
    model = trainer.fit(rows, None, None)
    assert trainer.classes(model) == ()
    np.testing.assert_allclose(trainer.predict(model, rows.features), 1.0)


def test_probabilities_where_there_are_any():
    rows = table(category=False)
    for model, dimensions in ((LogisticRegression(), 2), (SGDClassifier(), 1), (DummyClassifier(), 2)):
        trainer = Estimator(model)
        outputs = trainer.predict(trainer.fit(rows, None, None), rows.features)
        assert np.ndim(outputs) == dimensions


def test_a_model_fitted_on_a_bare_array_is_asked_with_one():
    """Adopted models often were; with names scikit-learn would warn at every prediction."""
    rows = table(category=False)
    bare = LogisticRegression().fit(rows.features.to_numpy(), rows.label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = Estimator(LogisticRegression()).predict(bare, rows.features)
    np.testing.assert_array_equal(outputs, bare.predict_proba(rows.features.to_numpy()))


def test_peoples_own_estimators_are_asked_with_the_frame_they_were_fitted_on():
    rows = table()
    trainer = Estimator(Keeper())
    model = trainer.fit(rows, None, None)
    assert isinstance(model, Pipeline | Keeper)
    plain = table(category=False)
    model = trainer.fit(plain, None, None)
    np.testing.assert_array_equal(trainer.predict(model, plain.features), plain.label)


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (LogisticRegression(), "classification"),
        (HistGradientBoostingRegressor(), "regression"),
        (make_pipeline(StandardScaler(), LinearRegression()), "regression"),
        (StandardScaler(), None),
    ],
)
def test_the_task_is_what_the_estimator_says(model, task):
    if task is None:
        model = type("Odd", (), {"fit": 1, "predict": 1, "get_params": 1, "set_params": 1})()
    assert Estimator(model).task == task


@pytest.mark.parametrize(
    "model", [5, "LogisticRegression", None, LogisticRegression, StandardScaler(), lambda: 0]
)
def test_what_is_no_estimator_is_refused(model):
    with pytest.raises(DeclarationError, match="trainer="):
        Estimator(model)


@pytest.mark.parametrize("seed", [-1, 1.5, "7", None, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(DeclarationError, match="seed="):
        Estimator(LogisticRegression(), seed=seed)


def test_trusted_is_a_list():
    with pytest.raises(DeclarationError, match="trusted="):
        Estimator(LogisticRegression(), trusted="mypackage.Clip")


MODELS = [
    LogisticRegression(),
    DecisionTreeClassifier(max_depth=3),
    HistGradientBoostingClassifier(max_iter=5),
    RandomForestClassifier(n_estimators=3),
    KNeighborsClassifier(),
    make_pipeline(
        make_column_transformer((OneHotEncoder(), ["k"]), remainder=StandardScaler()), SGDClassifier()
    ),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_model_comes_back_from_its_file_unchanged(model, tmp_path):
    rows = table()
    trainer = Estimator(model)
    fitted = trainer.fit(rows, None, None)
    trainer.save(fitted, tmp_path)
    again = Estimator.for_loading().load(tmp_path)
    np.testing.assert_array_equal(
        trainer.predict(again, rows.features), trainer.predict(fitted, rows.features)
    )
    assert trainer.classes(again) == trainer.classes(fitted)


def test_a_damaged_file_is_an_error_of_ours(tmp_path):
    for content in (b"", b"nonsense", b"PK\x03\x04 half a zip"):
        (tmp_path / "model.skops").write_bytes(content)
        with pytest.raises(BundleError, match="no readable skops file"):
            Estimator.for_loading().load(tmp_path)
