"""The adapter for anything that fits and predicts the way scikit-learn does."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rekindle.declaration import whole
from rekindle.errors import BundleError, DeclarationError, TrainingError
from rekindle.training.binning import weighted_bins_at_once
from rekindle.training.trusted import refused_types

if TYPE_CHECKING:
    from rekindle.protocols import Model
    from rekindle.records import Frame
    from rekindle.training.table import Table

__all__ = ["Estimator"]

FILE = "model.skops"


class Estimator:
    """Fit, predict and keep a scikit-learn style estimator or pipeline.

    Text columns reach estimators that know categories as `category`, others through a one-hot encoder put in
    front; a Pipeline gets them as they are and does its own work.

    Parameters: `model` an unfitted estimator (cloned for each fit, never changed); `seed` fills in every
    `random_state` that was left open; `trusted` names further types that may be loaded from a model file,
    e.g. ("mypackage.steps.Clip",).

    >>> from sklearn.linear_model import LogisticRegression
    >>> Estimator(LogisticRegression()).task
    'classification'
    """

    def __init__(self, model: Any, *, seed: int = 0, trusted: Sequence[str] = ()) -> None:
        if isinstance(model, type):
            raise DeclarationError("trainer", model.__name__, f"give an instance: {model.__name__}()")
        for method in ("fit", "predict", "get_params", "set_params"):
            if not hasattr(model, method):
                raise DeclarationError(
                    "trainer", model, f"it has no {method}(); give an unfitted scikit-learn estimator"
                )
        if isinstance(trusted, str):
            raise DeclarationError("trusted", trusted, f"give a list of types: trusted=[{trusted!r}]")
        self.model, self.trusted = model, tuple(trusted)
        self.seed = whole("seed", seed, "give a whole number, 0 or more")

    @classmethod
    def for_loading(cls) -> Estimator:
        """An adapter that only opens and predicts: what a serving process without a loops file needs."""
        from sklearn.dummy import DummyClassifier

        return cls(DummyClassifier())

    def __repr__(self) -> str:
        return f"Estimator({self.model!r}, seed={self.seed})"

    @property
    def task(self) -> str | None:
        """ "classification", "regression", or None when the estimator does not say."""
        from sklearn.base import is_classifier, is_regressor

        try:
            if is_classifier(self.model):
                return "classification"
            return "regression" if is_regressor(self.model) else None
        except AttributeError:  # no estimator of scikit-learn's own making
            return None

    def fit(self, train: Table, valid: Table | None, previous: Model | None) -> Model:
        """A fitted clone. Raises TrainingError when the rows cannot make a model of this task."""
        if train.task == "classification" and len(train.classes) < 2:
            only = train.classes[0] if train.classes else "none"
            raise TrainingError(
                f"the labels of the window hold one class only ({only!r}); a classifier needs two"
            )
        model = self._seeded(self._with_encoder(self._clone(), train.features))
        weights = self._weight_argument(model, train)
        try:
            with weighted_bins_at_once(model) if weights else nullcontext():
                model.fit(train.features, train.label, **weights)
        except ValueError as error:
            missing = [c for c in train.features.columns if train.features[c].isna().any()]
            if not missing or "NaN" not in str(error):
                raise
            raise TrainingError(
                f"{type(self.model).__name__} takes no missing values, and {missing[0]!r} has some; put an imputer "
                "into the trainer's pipeline, or take an estimator that knows them, e.g. HistGradientBoostingClassifier"
            ) from error
        return model

    def predict(self, model: Model, rows: Frame) -> Any:
        """Class probabilities where the model gives them, else its predictions."""
        named = hasattr(model, "feature_names_in_") or hasattr(model, "feature_name_")
        if hasattr(model, "n_features_in_") and not named:
            rows = rows.to_numpy()  # fitted on a bare array (adopted models): names would only make it warn
        if hasattr(model, "predict_proba"):
            return model.predict_proba(rows)
        return model.predict(rows)

    def classes(self, model: Model) -> tuple[Any, ...]:
        """Class labels in the order of the probabilities; empty for regression."""
        return tuple(getattr(model, "classes_", ()))

    def save(self, model: Model, folder: Path) -> None:
        """Write `model.skops`. Raises BundleError when the model holds what skops cannot keep."""
        import skops.io

        try:
            skops.io.dump(model, folder / FILE)
        except Exception as error:  # skops raises whatever the object's own pickling protocol raises
            raise BundleError(f"{type(model).__name__} cannot be written by skops: {error}") from error
        self._check_types(folder / FILE)

    def load(self, folder: Path) -> Model:
        """The reverse of `save`; types outside the operator's list are refused before anything is built."""
        import skops.io

        return skops.io.load(folder / FILE, trusted=self._check_types(folder / FILE))

    def _check_types(self, path: Path) -> list[str]:
        import skops.io

        try:
            found = list(skops.io.get_untrusted_types(file=path))
        except Exception as error:  # a damaged zip surfaces as any of a dozen errors
            raise BundleError(f"{path} is no readable skops file: {error}") from error
        refused = refused_types(found, self.trusted)
        if refused:
            raise BundleError(
                f"{path} holds types nobody allowed: {', '.join(refused)}. If they are yours, "
                f"declare rk.Estimator(..., trusted={refused!r})"
            )
        return found

    def _clone(self) -> Any:
        from sklearn.base import clone

        return clone(self.model)

    def _seeded(self, model: Any) -> Any:
        open_states = {
            k: self.seed for k, v in model.get_params().items() if k.endswith("random_state") and v is None
        }
        return model.set_params(**open_states)

    def _with_encoder(self, model: Any, features: Frame) -> Any:
        from sklearn.compose import make_column_transformer
        from sklearn.pipeline import Pipeline, make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        categories = [c for c in features.columns if features[c].dtype == "category"]
        knows = "categorical_features" in model.get_params() or type(model).__module__.startswith("lightgbm")
        if not categories or knows or isinstance(model, Pipeline):
            return model
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=50, sparse_output=False)
        front = make_column_transformer(
            (encoder, categories), remainder="passthrough", verbose_feature_names_out=False
        )
        return make_pipeline(front, model)

    def _weight_argument(self, model: Any, train: Table) -> dict[str, Any]:
        from sklearn.pipeline import Pipeline

        if train.weight is None or np.ptp(train.weight) == 0:
            return {}
        last, prefix = model, ""
        if isinstance(model, Pipeline):
            prefix, last = f"{model.steps[-1][0]}__", model.steps[-1][1]
        if "sample_weight" not in inspect.signature(last.fit).parameters:
            return {}
        return {f"{prefix}sample_weight": train.weight}
